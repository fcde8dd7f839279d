"""How many micro-batches of each row length an epoch has, for padded, bucketed and packed rows.

Until the data stage has measured it (data/batching.json), lengths are drawn from a log-normal distribution fitted to
published quantiles: an assumption, and marked as one wherever its numbers are shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

BatchingMode = Literal["pad", "bucket", "pack"]


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
    """Row length in tokens -> micro-batches of an epoch, each of `rows` rows; a step's samples stay in their step.

    `row_lengths` are those that a row may have, ascending; padded rows all have the longest. An incomplete last step
    is left out.
    """
    counts: Counter[int] = Counter()
    steps = len(lengths) // samples_per_step
    for step in lengths[: steps * samples_per_step].reshape(steps, samples_per_step):
        filled = list(_packed(step.tolist(), row_lengths[-1])) if mode == "pack" else sorted(step.tolist())[::-1]
        for start in range(0, len(filled), rows):
            longest = row_lengths[-1] if mode == "pad" else max(filled[start : start + rows])
            counts[next(length for length in row_lengths if length >= longest)] += 1
    return dict(sorted(counts.items()))


def _packed(samples: list[int], capacity: int) -> Iterator[int]:
    """Tokens of each row after first-fit-decreasing, longest row first."""
    filled: list[int] = []
    for length in sorted(samples, reverse=True):
        for index, used in enumerate(filled):
            if used + length <= capacity:
                filled[index] += length
                break
        else:
            filled.append(length)
    yield from sorted(filled, reverse=True)


def measured_counts(report: Mapping[str, Any], mode: BatchingMode, rows: int) -> dict[int, int] | None:
    """The counts of the data stage's batching.json, or None where it has none for these rows a micro-batch."""
    shapes = report["modes"][mode]["shapes"]
    counts = {shape["row_len"]: shape["micro_batches"] for shape in shapes if shape["rows"] == rows}
    return dict(sorted(counts.items())) or None
