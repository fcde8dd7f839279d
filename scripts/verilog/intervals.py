"""Intervals of a mean over problems: problems are drawn again, with replacement, as another benchmark might."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Resampling:
    """How intervals and permutation tests are made: confidence `level`, random `resamples`, `seed` of the draws."""

    level: float
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        if not 0 < self.level < 1 or self.resamples < 100 or self.seed < 0:
            raise ValueError("level must be in (0, 1), resamples at least 100 and seed not negative")

    def generator(self) -> np.random.Generator:
        """The same draws every time: a result does not depend on what was computed before it."""
        return np.random.default_rng(self.seed)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over problems with its bootstrap interval, in the unit of the values."""

    estimate: float
    low: float
    high: float


def mean_with_interval(values: np.ndarray, resampling: Resampling) -> Estimate:
    """Mean of `values`, shape (problems,), with its bias-corrected and accelerated (BCa) bootstrap interval.

    Values that are all equal have an interval of width zero: resampling shows no other. Raises ValueError without one.
    """
    if values.ndim != 1 or not len(values):
        raise ValueError(f"expected one value a problem, found an array of shape {values.shape}")
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Estimate(mean, mean, mean)
    interval = stats.bootstrap(
        (values,),
        np.mean,
        vectorized=True,
        batch=1000,
        n_resamples=resampling.resamples,
        confidence_level=resampling.level,
        method="BCa",
        rng=resampling.generator(),
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))
