"""How many micro-batches of each row length an epoch has, for padded, bucketed and packed rows.

Until the data stage has measured it (data/batching.json), lengths are drawn from a log-normal distribution fitted to
published quantiles: an assumption, and marked as one wherever its numbers are shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from scripts.common.batching import BatchingMode, BatchingSettings, plan_batches


@dataclass(frozen=True)
class LengthQuantiles:
    """Tokens of a sample: mean, 99th percentile, longest."""

    mean_tokens: float
    p99_tokens: float
    max_tokens: int

    def __post_init__(self) -> None:
        if not 0 < self.mean_tokens < self.p99_tokens <= self.max_tokens:
            raise ValueError("mean_tokens < p99_tokens <= max_tokens is needed")


def synthetic_lengths(quantiles: LengthQuantiles, samples: int, seed: int = 0) -> np.ndarray:
    """`samples` lengths in tokens, int64 of shape (samples,): evenly spaced quantiles of the fit, in a random order.

    The log-normal has mean exp(mu + sigma^2 / 2) and 99th percentile exp(mu + z sigma): sigma solves
    sigma^2 / 2 - z sigma + ln(p99 / mean) = 0. Lengths above the longest are set to it.
    """
    z = NormalDist().inv_cdf(0.99)
    ratio = math.log(quantiles.p99_tokens / quantiles.mean_tokens)
    if z**2 < 2 * ratio:
        raise ValueError(f"no log-normal has p99 {quantiles.p99_tokens} and mean {quantiles.mean_tokens} tokens")
    sigma = z - math.sqrt(z**2 - 2 * ratio)
    mu = math.log(quantiles.mean_tokens) - sigma**2 / 2
    normal = NormalDist(mu, sigma)
    drawn = np.exp([normal.inv_cdf((index + 0.5) / samples) for index in range(samples)])
    lengths = np.clip(np.rint(drawn), 1, quantiles.max_tokens).astype(np.int64)
    return np.random.default_rng(seed).permutation(lengths)


def micro_batch_counts(
    lengths: np.ndarray, mode: BatchingMode, samples_per_step: int, rows: int, row_lengths: Sequence[int]
) -> dict[int, int]:
    """Row length in tokens -> micro-batches of an epoch, each of `rows` rows, by the plan that training follows.

    `row_lengths` are those that a row may have, ascending; padded rows all have the longest. An incomplete last step
    is left out.
    """
    order = np.arange(len(lengths) // samples_per_step * samples_per_step).reshape(-1, samples_per_step)
    batching = BatchingSettings(mode, tuple(row_lengths), row_lengths[-1])
    # Rows that a step has no sample for are all padding: as many micro-batches as with a row a sample.
    shapes = plan_batches(lengths, order, batching, min(rows, samples_per_step)).shapes()
    return {row_len: count for (_, row_len), count in sorted(shapes.items())}


def measured_counts(report: Mapping[str, Any], mode: BatchingMode, rows: int) -> dict[int, int] | None:
    """The counts of the data stage's batching.json, or None where it has none for these rows a micro-batch."""
    for plan in report["plans"]:
        if plan["mode"] == mode and plan["rows_per_micro_batch"] == rows:
            return {shape["row_len"]: shape["micro_batches"] for shape in plan["shapes"]}
    return None
