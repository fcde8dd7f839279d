"""pass@k against what it means: the chance that a draw of k samples holds one that passes."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.verilog.pass_at_k import mean_pass_at_k, pass_at_k


@st.composite
def counts(draw: st.DrawFn, largest: int = 200) -> tuple[int, int, int]:
    samples = draw(st.integers(1, largest))
    return samples, draw(st.integers(0, samples)), draw(st.integers(1, samples))


@given(counts(largest=9))
def test_it_is_the_share_of_draws_with_a_pass(case: tuple[int, int, int]) -> None:
    samples, passed, k = case
    draws = list(itertools.combinations([index < passed for index in range(samples)], k))
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@given(counts())
def test_it_is_the_exact_quotient_of_binomials(case: tuple[int, int, int]) -> None:
    samples, passed, k = case
    exact = 1 - Fraction(math.comb(samples - passed, k), math.comb(samples, k))
    assert pass_at_k(samples, passed, k) == pytest.approx(float(exact), rel=1e-9, abs=1e-12)


@given(counts())
def test_at_1_it_is_the_share_that_passes(case: tuple[int, int, int]) -> None:
    samples, passed, _ = case
    assert pass_at_k(samples, passed, 1) == pytest.approx(passed / samples)


@given(counts())
def test_at_all_samples_it_is_whether_any_passes(case: tuple[int, int, int]) -> None:
    samples, passed, _ = case
    assert pass_at_k(samples, passed, samples) == pytest.approx(float(passed > 0))


@given(counts())
def test_more_draws_and_more_passes_never_lower_it(case: tuple[int, int, int]) -> None:
    samples, passed, k = case
    here = pass_at_k(samples, passed, k)
    assert 0 <= here <= 1
    if k < samples:
        assert pass_at_k(samples, passed, k + 1) >= here - 1e-12
    if passed < samples:
        assert pass_at_k(samples, passed + 1, k) >= here - 1e-12


def test_it_stays_exact_where_binomials_overflow() -> None:
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 0), (5, 2, 6), (0, 0, 1)])
def test_what_is_not_defined_is_an_error(samples: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="not defined"):
        pass_at_k(samples, passed, k)


def test_the_mean_is_over_problems() -> None:
    assert mean_pass_at_k([0, 1, 2], 2, 1) == pytest.approx(0.5)
    assert mean_pass_at_k([0, 1, 2], 2, 2) == pytest.approx(2 / 3)


def test_no_problem_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no problem"):
        mean_pass_at_k([], 2, 1)
