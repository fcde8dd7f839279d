"""The token rows on which two forms of a model are compared, and how their logits differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common.errors import UserError
from scripts.common.token_rows import read_token_rows


@dataclass(frozen=True)
class Probe:
    """Token rows, each (seq_len,) int32, and how many last positions of each are compared.

    The last positions depend on all the others; at 262,144 words a position's logits are 1 MiB.
    """

    rows: list[np.ndarray]
    positions: int = 16


def read_probe(tokens: Path, count: int) -> Probe:
    """The first `count` training rows."""
    data = read_token_rows(tokens)
    rows = [data.row(index) for index in range(min(count, len(data)))]
    probe = Probe(rows)
    if not rows or min(map(len, rows)) < probe.positions:
        raise UserError(f"{tokens}: the first {count} rows must have at least {probe.positions} tokens each")
    return probe


@dataclass(frozen=True)
class LogitDifference:
    """How two logit arrays of the same shape differ."""

    max_abs: float
    mean_abs: float
    top1_agreement: float


def compare_logits(first: np.ndarray, second: np.ndarray) -> LogitDifference:
    """`first` against `second`, both (rows, positions, vocabulary). Raises ValueError on shapes or values that differ
    in kind (NaN, infinity)."""
    if first.shape != second.shape:
        raise ValueError(f"logits of shape {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("logits are not finite")
    difference = np.abs(first.astype(np.float64) - second)
    agreement = (first.argmax(axis=-1) == second.argmax(axis=-1)).mean()
    return LogitDifference(float(difference.max()), float(difference.mean()), float(agreement))
