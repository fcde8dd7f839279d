"""Paired tests against enumeration, simulation and other libraries."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from scripts.verilog.intervals import Resampling
from scripts.verilog.paired import Counts, cohen_dz, common_odds_ratio, p_other_problems, p_same_problems

RESAMPLING = Resampling(level=0.95, resamples=2000, seed=0)


def counts(passed: list[int], samples: int) -> Counts:
    return Counts(np.array(passed), np.full(len(passed), samples))


def tables(first: Counts, second: Counts) -> list[np.ndarray]:
    columns = zip(first.passed, first.samples, second.passed, second.samples, strict=True)
    return [np.array([[a, n - a], [b, m - b]]) for a, n, b, m in columns]


@st.composite
def pairs(draw: st.DrawFn, samples: int = 3, problems: int = 3) -> tuple[Counts, Counts]:
    size = draw(st.integers(1, problems))
    passed = st.lists(st.integers(0, samples), min_size=size, max_size=size)
    return counts(draw(passed), samples), counts(draw(passed), samples)


def by_enumeration(first: Counts, second: Counts) -> float:
    """Every way to hand the samples of each problem to the two models, written out."""
    by_problem = []
    for a, n, b, m in zip(first.passed, first.samples, second.passed, second.samples, strict=True):
        pool = [1] * (a + b) + [0] * (n + m - a - b)
        by_problem.append([sum(chosen) for chosen in itertools.combinations(pool, n)])
    totals = [sum(way) for way in itertools.product(*by_problem)]
    share = {total: totals.count(total) / len(totals) for total in set(totals)}
    observed = share[first.passed.sum()]
    return sum(chance for chance in share.values() if chance <= observed * (1 + 1e-9))


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_sampling_again_is_every_exchange_within_a_problem(pair: tuple[Counts, Counts]) -> None:
    assert p_same_problems(*pair) == pytest.approx(by_enumeration(*pair))


@given(pairs(samples=5, problems=20))
def test_neither_arm_comes_first(pair: tuple[Counts, Counts]) -> None:
    first, second = pair
    assert p_same_problems(first, second) == pytest.approx(p_same_problems(second, first))
    assert 0 < p_same_problems(first, second) <= 1


def test_one_problem_is_fishers_exact_test() -> None:
    first, second = counts([17], 20), counts([9], 20)
    assert p_same_problems(first, second) == pytest.approx(stats.fisher_exact(tables(first, second)[0]).pvalue)


def test_many_problems_agree_with_cochran_mantel_haenszel() -> None:
    dice = np.random.default_rng(5)
    rates = dice.beta(0.6, 0.4, size=156)
    first, second = (Counts(dice.binomial(5, np.clip(rates + shift, 0, 1)), np.full(156, 5)) for shift in (0, -0.04))
    theirs = StratifiedTable(tables(first, second)).test_null_odds(correction=True).pvalue
    assert 0.001 < theirs < 0.5
    assert p_same_problems(first, second) == pytest.approx(theirs, rel=0.05)


def test_models_that_are_alike_are_called_different_as_often_as_alpha_says() -> None:
    dice = np.random.default_rng(11)
    rates = dice.beta(0.6, 0.4, size=60)
    trials = 400
    p_values = [
        p_same_problems(*(Counts(dice.binomial(5, rates), np.full(60, 5)) for _ in range(2))) for _ in range(trials)
    ]
    # Exact and discrete: never more often than alpha but by chance (four standard deviations), and not much less.
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)


def test_arms_with_different_numbers_of_samples_are_compared_too() -> None:
    first, second = counts([2, 1, 2], 2), counts([1, 0, 2], 4)
    assert p_same_problems(first, second) == pytest.approx(by_enumeration(first, second))


def test_other_problems_few_are_every_pattern_of_signs() -> None:
    differences = np.array([0.4, 0.2, 0.6, -0.2, 0.4])
    means = [float(np.mean(np.array(signs) * differences)) for signs in itertools.product((1, -1), repeat=5)]
    expected = np.mean([abs(mean) >= abs(differences.mean()) - 1e-12 for mean in means])
    assert p_other_problems(differences, RESAMPLING) == pytest.approx(expected)


def test_other_problems_many_are_near_the_paired_t_test() -> None:
    differences = np.random.default_rng(2).normal(0.03, 0.2, size=156)
    theirs = stats.ttest_1samp(differences, 0).pvalue
    assert 0.01 < theirs < 0.5
    assert p_other_problems(differences, Resampling(0.95, 20_000, 0)) == pytest.approx(theirs, abs=0.02)


def test_no_difference_at_all_has_p_1() -> None:
    assert p_other_problems(np.zeros(5), RESAMPLING) == 1.0
    assert p_same_problems(counts([1, 2], 3), counts([1, 2], 3)) == pytest.approx(1.0)


def test_the_effect_size_is_the_mean_over_the_spread() -> None:
    assert cohen_dz(np.array([0.0, 0.2, 0.4])) == pytest.approx(1.0)
    assert cohen_dz(np.array([0.2, 0.2])) is None
    assert cohen_dz(np.array([0.2])) is None


def test_the_odds_ratio_is_mantel_and_haenszels() -> None:
    first, second = counts([3, 4], 5), counts([2, 1], 5)
    ratio = common_odds_ratio(first, second, 0.95)
    assert ratio is not None
    assert ratio.estimate == pytest.approx((3 * 3 / 10 + 4 * 4 / 10) / (2 * 2 / 10 + 1 * 1 / 10))
    assert ratio.low < ratio.estimate < ratio.high


@pytest.mark.parametrize(("first", "second"), [([5, 0], [5, 0]), ([5, 5], [0, 0]), ([0, 0], [3, 1])], ids=str)
def test_an_unbounded_odds_ratio_is_none(first: list[int], second: list[int]) -> None:
    assert common_odds_ratio(counts(first, 5), counts(second, 5), 0.95) is None


@pytest.mark.parametrize(("passed", "samples"), [([], []), ([6], [5]), ([-1], [5]), ([0], [0]), ([1, 2], [5])], ids=str)
def test_impossible_counts_are_refused(passed: list[int], samples: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Counts(np.array(passed), np.array(samples))
