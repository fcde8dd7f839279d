"""Bootstrap intervals cover what they promise."""

import numpy as np
import pytest
from scipy import stats

from scripts.verilog.intervals import Resampling, mean_with_interval


@pytest.mark.parametrize(("problems", "shape"), [(156, (1.0, 0.6)), (40, (1.0, 1.0))], ids=str)
def test_the_interval_holds_the_true_mean_as_often_as_it_says(problems: int, shape: tuple[float, float]) -> None:
    dice = np.random.default_rng(7)
    resampling = Resampling(level=0.95, resamples=500, seed=1)
    trials, held = 400, 0
    for _ in range(trials):
        rates = dice.beta(*shape, size=problems)
        estimate = mean_with_interval(dice.binomial(5, rates) / 5, resampling)
        held += estimate.low <= shape[0] / sum(shape) <= estimate.high
    # Of 400 trials at 95 % (and at the 93 % that small samples leave), four standard deviations either way.
    assert 0.89 <= held / trials <= 0.99


def test_it_is_near_the_interval_of_theory_where_that_holds() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.1, size=2000)
    estimate = mean_with_interval(values, Resampling(0.95, 5000, 0))
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=3e-4), pytest.approx(high, abs=3e-4))


def test_a_higher_level_is_wider_and_the_same_seed_the_same() -> None:
    values = np.array([0.0, 0.2, 0.4, 1.0, 1.0, 0.6])
    narrow, wide = (mean_with_interval(values, Resampling(level, 2000, 0)) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert mean_with_interval(values, Resampling(0.8, 2000, 0)) == narrow


def test_equal_values_have_no_width() -> None:
    estimate = mean_with_interval(np.zeros(4), Resampling(0.95, 200, 0))
    assert (estimate.estimate, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("values", [np.array([]), np.zeros((2, 2))], ids=["none", "matrix"])
def test_what_has_no_mean_over_problems_is_an_error(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one value a problem"):
        mean_with_interval(values, Resampling(0.95, 200, 0))


@pytest.mark.parametrize("change", [{"level": 1.0}, {"resamples": 5}, {"seed": -1}], ids=str)
def test_impossible_resampling_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="level must be"):
        Resampling(**{"level": 0.95, "resamples": 200, "seed": 0, **change})  # type: ignore[arg-type]
