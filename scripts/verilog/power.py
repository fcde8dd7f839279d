"""What a comparison of this size could have found, and what size would settle it.

The difference of two models on a problem varies for two reasons: each rate is estimated from n samples, which more
samples mend, and the true difference is not the same on every problem, which only more problems do.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import stats

from scripts.verilog.paired import Counts

WANTED_POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Variances:
    """Variance of a problem's difference in pass@1: `of_one_sample` is its mean part from drawing one sample a model,
    `from_sampling` from the samples drawn, `between_problems` of the true difference, `total` of what was measured."""

    problems: int
    of_one_sample: float
    from_sampling: float
    between_problems: float
    total: float


def variances(arm: Counts, baseline: Counts) -> Variances | None:
    """The parts, each estimated without bias (the one between problems is cut at zero).

    None with a single sample a problem, from which they cannot be told apart, or with a single problem.
    """
    if min(arm.samples.min(), baseline.samples.min()) < 2 or len(arm.samples) < 2:
        return None
    per_sample, of_means = np.zeros(len(arm.samples)), np.zeros(len(arm.samples))
    for counts in (arm, baseline):
        # s**2 of 0s and 1s, whose expectation is p (1 - p).
        spread = counts.rates * (1 - counts.rates) * counts.samples / (counts.samples - 1)
        per_sample += spread
        of_means += spread / counts.samples
    total = float((arm.rates - baseline.rates).var(ddof=1))
    from_sampling = float(of_means.mean())
    between = max(0.0, total - from_sampling)
    return Variances(len(arm.samples), float(per_sample.mean()), from_sampling, between, total)


def power_same_problems(difference: float, parts: Variances, alpha: float) -> float | None:
    """Chance that a two-sided test over sampling finds a true mean `difference`; None where sampling has no spread."""
    return _power(difference, parts.from_sampling / parts.problems, alpha)


def power_other_problems(difference: float, parts: Variances, alpha: float) -> float | None:
    """Chance that a paired two-sided test over problems finds a true mean `difference`; None without any spread."""
    return _power(difference, parts.total / parts.problems, alpha)


def detectable_same_problems(parts: Variances, alpha: float) -> float:
    """The smallest true difference found with 80 % power when the same problems are sampled again."""
    return _reach(alpha) * math.sqrt(parts.from_sampling / parts.problems)


def detectable_other_problems(parts: Variances, alpha: float) -> float:
    """The smallest true difference found with 80 % power over problems of this kind."""
    return _reach(alpha) * math.sqrt(parts.total / parts.problems)


def samples_needed_same_problems(difference: float, parts: Variances, alpha: float) -> int | None:
    """Samples a problem and model that find `difference` on these problems with 80 % power; None for no difference."""
    if difference == 0:
        return None
    return max(1, math.ceil(_reach(alpha) ** 2 * parts.of_one_sample / (parts.problems * difference**2)))


def samples_needed_other_problems(difference: float, parts: Variances, alpha: float) -> int | None:
    """Samples a problem and model that find `difference` over problems of this kind with 80 % power.

    None where no number does, since the problems are too few for how much they differ.
    """
    room = parts.problems * difference**2 / _reach(alpha) ** 2 - parts.between_problems
    return max(1, math.ceil(parts.of_one_sample / room)) if room > 0 else None


def problems_needed(difference: float, parts: Variances, alpha: float) -> int | None:
    """Problems, with the samples that each has now, that find `difference` with 80 % power; None for no difference."""
    if difference == 0:
        return None
    return max(2, math.ceil(_reach(alpha) ** 2 * parts.total / difference**2))


def _power(difference: float, variance_of_mean: float, alpha: float) -> float | None:
    """Of a two-sided z-test: from 40 problems on it is the t-test's to 0.025."""
    if variance_of_mean == 0:
        return None
    errors = difference / math.sqrt(variance_of_mean)
    reach = stats.norm.ppf(1 - alpha / 2)
    return float(stats.norm.cdf(errors - reach) + stats.norm.cdf(-errors - reach))


def _reach(alpha: float) -> float:
    """How many standard errors a difference must be for a two-sided test at `alpha` to have 80 % power."""
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(WANTED_POWER))
