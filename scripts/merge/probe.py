"""The token rows on which two forms of a model are compared, and how their logits differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scripts.common.errors import UserError
from scripts.common.token_rows import read_token_rows

Dtype = Literal["float32", "bfloat16"]


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
class Difference:
    """How two forms of a model differ on the probe: in logits, or in log-probabilities of the tokens that follow."""

    max_abs: float
    mean_abs: float
    top1_agreement: float


@dataclass(frozen=True)
class Tolerance:
    """How far two forms of the same model may differ in one type of weights and activations."""

    max_abs: float
    mean_abs: float
    min_top1_agreement: float

    def __post_init__(self) -> None:
        if not (self.max_abs > 0 and self.mean_abs > 0 and 0 <= self.min_top1_agreement <= 1):
            raise ValueError("max_abs and mean_abs must be positive, min_top1_agreement within 0 and 1")

    def exceeded_by(self, difference: Difference) -> str | None:
        """What is beyond the tolerance, in words; None when nothing is."""
        if not difference.max_abs <= self.max_abs:
            return f"the largest difference is {difference.max_abs:.3g}, more than {self.max_abs:g}"
        if not difference.mean_abs <= self.mean_abs:
            return f"the mean difference is {difference.mean_abs:.3g}, more than {self.mean_abs:g}"
        if difference.top1_agreement < self.min_top1_agreement:
            return f"top-1 agreement is {difference.top1_agreement:.3g}, less than {self.min_top1_agreement:g}"
        return None


@dataclass(frozen=True)
class NextTokens:
    """What a model says of the tokens that follow the probe's positions: each token's log-probability, float32, and the
    most likely token, int32; both of shape (rows, positions - 1), since after the last one nothing follows."""

    logprobs: np.ndarray
    top1: np.ndarray


def compare_logits(first: np.ndarray, second: np.ndarray) -> Difference:
    """`first` against `second`, both (rows, positions, vocabulary). Raises ValueError on shapes or values that differ
    in kind (NaN, infinity)."""
    return compare(first, second, first.argmax(axis=-1), second.argmax(axis=-1))


def compare_next_tokens(first: NextTokens, second: NextTokens) -> Difference:
    return compare(first.logprobs, second.logprobs, first.top1, second.top1)


def compare(first: np.ndarray, second: np.ndarray, first_top1: np.ndarray, second_top1: np.ndarray) -> Difference:
    if first.shape != second.shape:
        raise ValueError(f"logits of shape {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("logits are not finite")
    difference = np.abs(first.astype(np.float64) - second)
    return Difference(float(difference.max()), float(difference.mean()), float((first_top1 == second_top1).mean()))


def next_tokens(logits: np.ndarray, probe: Probe) -> NextTokens:
    """Of logits at the probe's positions, (rows, positions, vocabulary)."""
    logits = logits[:, :-1].astype(np.float64)
    following = np.stack([tokens[-probe.positions + 1 :] for tokens in probe.rows])
    shifted = logits - logits.max(axis=-1, keepdims=True)
    picked = np.take_along_axis(shifted, following[..., None], axis=-1)[..., 0]
    logprobs = picked - np.log(np.exp(shifted).sum(axis=-1))
    return NextTokens(logprobs.astype(np.float32), logits.argmax(axis=-1).astype(np.int32))


def save_next_tokens(path: Path, by_dtype: Mapping[Dtype, NextTokens]) -> None:
    save_arrays(
        path,
        {
            f"{dtype}.{field}": getattr(said, field)
            for dtype, said in by_dtype.items()
            for field in ("logprobs", "top1")
        },
    )


def load_next_tokens(path: Path, dtype: str) -> NextTokens:
    with np.load(path) as arrays:
        return NextTokens(arrays[f"{dtype}.logprobs"], arrays[f"{dtype}.top1"])


def save_arrays(path: Path, arrays: Mapping[Any, np.ndarray]) -> None:
    """An npz that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **dict(arrays))
    partial.replace(path)
