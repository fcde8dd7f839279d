"""Two models on the same problems: is the difference more than chance, and how large is it?

Two kinds of chance, two tests. Sampling the same problems again: a problem's samples are exchanged between the models,
in every way. Meeting other problems of the kind: the models are exchanged on a problem, at random.
"""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from scripts.verilog.intervals import Resampling


@dataclasses.dataclass(frozen=True)
class Counts:
    """Passed and drawn samples of one model, shape (problems,) each; problems are in the same order in both models."""

    passed: np.ndarray
    samples: np.ndarray

    def __post_init__(self) -> None:
        if self.passed.shape != self.samples.shape or self.passed.ndim != 1 or not len(self.passed):
            raise ValueError(f"expected counts of each problem, found shapes {self.passed.shape}, {self.samples.shape}")
        if (self.passed < 0).any() or (self.passed > self.samples).any() or (self.samples < 1).any():
            raise ValueError("expected 0 <= passed <= samples and at least one sample a problem")

    @property
    def rates(self) -> np.ndarray:
        """Share of samples that pass, shape (problems,)."""
        return self.passed / self.samples


@dataclasses.dataclass(frozen=True)
class OddsRatio:
    """Odds that a sample passes over the baseline's, common to all problems (Mantel and Haenszel), with interval."""

    estimate: float
    low: float
    high: float


def p_same_problems(arm: Counts, baseline: Counts) -> float:
    """Two-sided p-value of "on each of these problems both models pass with the same probability".

    Exact: given how many samples of a problem pass in all, those of `arm` among them are hypergeometric; their sum over
    problems is compared with the sum observed (outcomes no more likely count as extreme). It is the permutation test
    that exchanges samples within a problem, with every permutation.
    """
    distribution = np.ones(1)
    offset = 0
    for passed, drawn, other_passed, other_drawn in zip(
        arm.passed, arm.samples, baseline.passed, baseline.samples, strict=True
    ):
        total = int(passed + other_passed)
        support = np.arange(max(0, total - int(other_drawn)), min(total, int(drawn)) + 1)
        chances = stats.hypergeom.pmf(support, int(drawn + other_drawn), total, int(drawn))
        distribution = np.convolve(distribution, chances)
        offset += int(support[0])
    observed = distribution[int(arm.passed.sum()) - offset]
    return float(min(1.0, distribution[distribution <= observed * (1 + 1e-9)].sum()))


def p_other_problems(differences: np.ndarray, resampling: Resampling) -> float:
    """Two-sided p-value of "over problems of this kind the models are alike", from differences of shape (problems,).

    A permutation test that changes the sign of each problem's difference: exact where that is few enough sign patterns,
    else `resamples` random ones, of which the observed is one.
    """
    if not differences.any():
        return 1.0
    result = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda first, second, axis: np.mean(first - second, axis=axis),
        permutation_type="samples",
        vectorized=True,
        batch=1000,
        n_resamples=resampling.resamples,
        rng=resampling.generator(),
    )
    return float(result.pvalue)


def cohen_dz(differences: np.ndarray) -> float | None:
    """Mean difference over its standard deviation between problems (Cohen 1988); None where that is zero."""
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    return float(differences.mean()) / deviation if deviation > 0 else None


def common_odds_ratio(arm: Counts, baseline: Counts, level: float) -> OddsRatio | None:
    """The pooled odds ratio over problems; None where no problem has both outcomes in a way that bounds it."""
    tables = [
        np.array([[passed, drawn - passed], [other_passed, other_drawn - other_passed]])
        for passed, drawn, other_passed, other_drawn in zip(
            arm.passed, arm.samples, baseline.passed, baseline.samples, strict=True
        )
        # A problem that all samples pass, or none, says nothing of an odds ratio.
        if 0 < passed + other_passed < drawn + other_drawn
    ]
    if not tables:
        return None
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        pooled = StratifiedTable(tables)
        low, high = pooled.oddsratio_pooled_confint(alpha=1 - level)
        ratio = OddsRatio(float(pooled.oddsratio_pooled), float(low), float(high))
    return ratio if all(math.isfinite(value) for value in dataclasses.astuple(ratio)) and ratio.low > 0 else None
