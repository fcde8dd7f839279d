"""Power and sample sizes against simulated comparisons."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from scripts.verilog import power
from scripts.verilog.paired import Counts, p_same_problems
from scripts.verilog.power import Variances

ALPHA = 0.05
PARTS = Variances(problems=156, of_one_sample=0.2, from_sampling=0.04, between_problems=0.02, total=0.06)


def draw(dice: np.random.Generator, rates: np.ndarray, samples: int) -> Counts:
    return Counts(dice.binomial(samples, rates), np.full(len(rates), samples))


def test_the_parts_of_the_variance_are_estimated_without_bias() -> None:
    dice = np.random.default_rng(1)
    problems, samples = 400, 4
    found = []
    for _ in range(60):
        first = dice.beta(2, 2, size=problems)
        second = np.clip(first + dice.normal(0, 0.2, size=problems), 0, 1)
        parts = power.variances(draw(dice, first, samples), draw(dice, second, samples))
        assert parts is not None
        one = float((first * (1 - first) + second * (1 - second)).mean())
        between = float((first - second).var(ddof=1))
        found.append([parts.of_one_sample - one, parts.from_sampling - one / samples, parts.between_problems - between])
    errors = np.array(found)
    assert abs(errors.mean(axis=0)) == pytest.approx(0, abs=4 * errors.std(axis=0).max() / math.sqrt(len(found)))


@pytest.mark.parametrize("samples", [1], ids=str)
def test_one_sample_tells_no_parts_apart(samples: int) -> None:
    one = Counts(np.array([1, 0]), np.full(2, samples))
    assert power.variances(one, one) is None
    assert power.variances(Counts(np.array([1]), np.array([5])), Counts(np.array([1]), np.array([5]))) is None


def test_a_difference_that_80_percent_find_has_80_percent_power() -> None:
    for detectable, chance in (
        (power.detectable_same_problems, power.power_same_problems),
        (power.detectable_other_problems, power.power_other_problems),
    ):
        assert chance(detectable(PARTS, ALPHA), PARTS, ALPHA) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("problems", [40, 156])
@pytest.mark.parametrize("difference", [0.01, 0.05, 0.1])
def test_power_over_problems_is_that_of_the_paired_t_test(problems: int, difference: float) -> None:
    theirs = TTestPower().power(difference / math.sqrt(PARTS.total), problems, ALPHA)
    assert power.power_other_problems(difference, replace(PARTS, problems=problems), ALPHA) == pytest.approx(
        theirs, abs=0.025
    )


def test_power_over_sampling_is_how_often_the_exact_test_finds_it() -> None:
    dice = np.random.default_rng(4)
    rates = dice.uniform(0.2, 0.7, size=80)
    shift, samples, trials = 0.08, 5, 200
    hits, parts = 0, None
    for _ in range(trials):
        first, second = draw(dice, rates + shift, samples), draw(dice, rates, samples)
        hits += p_same_problems(first, second) < ALPHA
        parts = power.variances(first, second)
    assert parts is not None
    assert power.power_same_problems(shift, parts, ALPHA) == pytest.approx(hits / trials, abs=0.12)


def test_the_samples_needed_give_80_percent_power_and_one_less_does_not() -> None:
    for difference in (0.03, 0.05, 0.1):
        needed = power.samples_needed_same_problems(difference, PARTS, ALPHA)
        assert needed is not None
        chances = [
            power.power_same_problems(difference, Variances(156, 0.2, 0.2 / samples, 0.02, 0.02 + 0.2 / samples), ALPHA)
            for samples in (needed, max(1, needed - 1))
        ]
        assert chances[0] is not None
        assert chances[0] >= 0.799
        assert needed == 1 or (chances[1] is not None and chances[1] < 0.801)


def test_samples_alone_do_not_settle_what_problems_differ_in() -> None:
    smallest = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * math.sqrt(0.02 / 156)
    assert power.samples_needed_other_problems(smallest * 0.99, PARTS, ALPHA) is None
    assert power.samples_needed_other_problems(smallest * 1.2, PARTS, ALPHA) == pytest.approx(
        math.ceil(0.2 / (0.02 * (1.2**2 - 1)))
    )


def test_more_problems_settle_it() -> None:
    needed = power.problems_needed(0.02, PARTS, ALPHA)
    assert needed is not None
    more = Variances(needed, PARTS.of_one_sample, PARTS.from_sampling, PARTS.between_problems, PARTS.total)
    assert power.power_other_problems(0.02, more, ALPHA) == pytest.approx(0.8, abs=0.005)


def test_no_difference_needs_no_samples_and_no_spread_has_no_power() -> None:
    still = Variances(10, 0.0, 0.0, 0.0, 0.0)
    assert power.samples_needed_same_problems(0.0, PARTS, ALPHA) is None
    assert power.samples_needed_other_problems(0.0, PARTS, ALPHA) is None
    assert power.problems_needed(0.0, PARTS, ALPHA) is None
    assert power.power_same_problems(0.1, still, ALPHA) is None
    assert power.power_other_problems(0.1, still, ALPHA) is None
