"""Which samples reach which optimizer step, and in which arrays: the same samples a step in every mode and backend.

`pad` gives each sample a row of the longest length, as the paper does; `bucket` gives it the shortest of a few row
lengths that holds it; `pack` puts several samples into one row. A mode changes the arrays that carry a step's samples,
never the samples: the loss and its gradient are the same (scripts/common/token_rows.py has the arrays).
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

BatchingMode = Literal["pad", "bucket", "pack"]
MODES: tuple[BatchingMode, ...] = ("pad", "bucket", "pack")
# Row lengths are multiples of this many tokens: a tile of every accelerator's matrix unit holds at least 8 rows.
LENGTH_MULTIPLE = 8
# Row lengths where none are configured: equal steps up to the longest sample. Each is a shape to compile.
DEFAULT_LENGTHS = 12
# The shortest row length in a row of powers, as a share of the longest.
SHORTEST_POWER = 1 / 16


@dataclass(frozen=True)
class Powers:
    """Row lengths in a geometric row: max_seq_len / powers_of^i."""

    powers_of: float

    def __post_init__(self) -> None:
        if not 1.05 <= self.powers_of <= 4:
            raise ValueError(f"powers_of must be from 1.05 to 4, found {self.powers_of}")


@dataclass(frozen=True)
class BatchingSettings:
    """How samples become rows; see `train.batching` and `train.row_lengths_tokens` in config.yaml."""

    mode: BatchingMode
    row_lengths_tokens: tuple[int, ...] | Powers | None
    max_seq_len_tokens: int

    def row_lengths(self) -> list[int]:
        """The lengths that a row may have, in tokens, ascending. A packed row may be longer than any one sample."""
        longest = self.max_seq_len_tokens
        if self.mode == "pad":
            return [longest]
        chosen = self.row_lengths_tokens
        if chosen is None:
            return sorted({_rounded_up(longest * i / DEFAULT_LENGTHS) for i in range(1, DEFAULT_LENGTHS + 1)})
        if isinstance(chosen, Powers):
            count = int(math.log(1 / SHORTEST_POWER, chosen.powers_of)) + 1
            return sorted({_rounded_up(longest / chosen.powers_of**i) for i in range(count)})
        return sorted(set(chosen))


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one forward pass: of each row the samples in it, as indices into the data's rows, in order.

    Every row is padded to `row_len` tokens; a row without samples is all padding.
    """

    row_len: int
    rows: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, row_len): a shape is compiled once."""
        return len(self.rows), self.row_len

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return self.row_len * len(self.rows)

    def shard(self, index: int, count: int) -> MicroBatch:
        """The rows of one of `count` processes, each of which holds as many."""
        share = len(self.rows) // count
        return MicroBatch(self.row_len, self.rows[index * share : (index + 1) * share])


@dataclass(frozen=True)
class BatchPlan:
    """The micro-batches of every optimizer step of a run."""

    steps: list[list[MicroBatch]]
    samples_per_step: int

    @property
    def micro_batches(self) -> list[MicroBatch]:
        """Those of all the steps, end to end."""
        return [micro_batch for step in self.steps for micro_batch in step]

    @property
    def micro_batches_per_step(self) -> np.ndarray:
        """int32 of shape (steps,)."""
        return np.array([len(step) for step in self.steps], np.int32)

    @property
    def padded_tokens_per_step(self) -> np.ndarray:
        """Tokens computed in each step, padding included, int64 of shape (steps,)."""
        return np.array([sum(micro_batch.tokens for micro_batch in step) for step in self.steps], np.int64)

    def real_tokens_per_step(self, lengths: np.ndarray) -> np.ndarray:
        """Tokens of each step's samples, int64 of shape (steps,); `lengths` are the tokens of each row of the data."""
        samples = [[sample for m in step for row in m.rows for sample in row] for step in self.steps]
        return np.array([lengths[step].sum() for step in samples], np.int64)

    def shapes(self) -> Counter[tuple[int, int]]:
        """How many micro-batches have each shape (rows, row_len): what there is to compile."""
        return Counter(micro_batch.shape for micro_batch in self.micro_batches)


def total_steps(rows: int, epochs: int, samples_per_step: int) -> int:
    """Optimizer steps of a run; the rows that do not fill an epoch's last step are left out, as the paper does."""
    return epochs * (rows // samples_per_step)


def sample_order(rows: int, epochs: int, samples_per_step: int, seed: int) -> np.ndarray:
    """Row indices of every optimizer step, shape (steps, samples_per_step): each epoch a fresh permutation of `seed`.

    An epoch's incomplete last step is left out. Raises ValueError when the rows do not fill one step.
    """
    steps_per_epoch = total_steps(rows, 1, samples_per_step)
    if steps_per_epoch == 0:
        raise ValueError(f"{rows} rows do not fill one step of {samples_per_step} samples")
    used = steps_per_epoch * samples_per_step
    epochs_order = [np.random.default_rng([seed, epoch]).permutation(rows)[:used] for epoch in range(epochs)]
    return np.concatenate(epochs_order).reshape(-1, samples_per_step)


def plan_batches(
    lengths: np.ndarray, order: np.ndarray, batching: BatchingSettings, rows_per_micro_batch: int
) -> BatchPlan:
    """The micro-batches of each step. `lengths` are the tokens of each row of the data, `order` is from `sample_order`.

    Raises ValueError when the samples of a step are no multiple of the rows of a micro-batch, or a sample is longer
    than every row.
    """
    row_lengths, samples_per_step = batching.row_lengths(), order.shape[1]
    if samples_per_step % rows_per_micro_batch:
        raise ValueError(
            f"samples_per_step {samples_per_step} is not a multiple of {rows_per_micro_batch}, the rows of a "
            "micro-batch (micro_batch_size x data shards)"
        )
    if order.size and lengths[order].max() > row_lengths[-1]:
        raise ValueError(f"a sample of {lengths[order].max()} tokens is longer than every row ({row_lengths[-1]})")
    plan_step = _packed if batching.mode == "pack" else _one_sample_a_row
    samples_of = [list(zip(lengths[step].tolist(), step.tolist(), strict=True)) for step in order]
    return BatchPlan(
        [plan_step(samples, row_lengths, rows_per_micro_batch) for samples in samples_of], samples_per_step
    )


# A sample while rows are planned: its length in tokens and its index in the data.
_Sized = tuple[int, int]


def _one_sample_a_row(samples: list[_Sized], row_lengths: list[int], rows: int) -> list[MicroBatch]:
    """Samples of like length together, each micro-batch as long as its longest sample needs. With one row a
    micro-batch, or one row length, the order stays."""
    if rows > 1 and len(row_lengths) > 1:
        samples = sorted(samples, key=lambda sample: sample[0])
    groups = [samples[start : start + rows] for start in range(0, len(samples), rows)]
    return [_micro_batch([[sample] for sample in group], row_lengths) for group in groups]


def _packed(samples: list[_Sized], row_lengths: list[int], rows: int) -> list[MicroBatch]:
    """As few tokens as a greedy search finds: rows of the longest length are filled as full as the samples allow,
    until what is left fits `rows` rows of a shorter length."""
    rest = sorted(samples, reverse=True)
    planned = []
    while rest:
        total, longest = sum(length for length, _ in rest), rest[0][0]
        for capacity in row_lengths:
            # The longest capacity is taken whether or not all that is left fits.
            if capacity == row_lengths[-1] or (capacity >= longest and capacity * rows >= total):
                filled, left = _fill(rest, capacity, rows)
                if not left:
                    break
        planned.append(_micro_batch(filled, row_lengths))
        rest = left
    return planned


def _fill(samples: list[_Sized], capacity: int, rows: int) -> tuple[list[list[_Sized]], list[_Sized]]:
    """`rows` rows, each as full as a choice of the samples can make it, and the samples that are left."""
    filled = []
    for _ in range(rows):
        chosen = _fullest(samples, capacity)
        filled.append(chosen)
        taken = {index for _, index in chosen}
        samples = [sample for sample in samples if sample[1] not in taken]
    return filled, samples


def _fullest(samples: list[_Sized], capacity: int) -> list[_Sized]:
    """The samples whose lengths add up to the most that is not above `capacity` (subset sum, exactly).

    Bit n of `reachable` says that some of the samples seen so far add up to n tokens.
    """
    within = (1 << (capacity + 1)) - 1
    reachable, before = 1, []
    for length, _ in samples:
        before.append(reachable)
        reachable |= (reachable << length) & within
    tokens = reachable.bit_length() - 1
    chosen = []
    for sample, without in zip(reversed(samples), reversed(before), strict=True):
        if not without >> tokens & 1:
            chosen.append(sample)
            tokens -= sample[0]
    return chosen


def _micro_batch(rows: Sequence[Sequence[_Sized]], row_lengths: list[int]) -> MicroBatch:
    longest = max(sum(length for length, _ in row) for row in rows)
    row_len = row_lengths[bisect.bisect_left(row_lengths, longest)]
    return MicroBatch(row_len, tuple(tuple(index for _, index in row) for row in rows))


def _rounded_up(tokens: float) -> int:
    """The next multiple of LENGTH_MULTIPLE; the longest length too, so that every row is one."""
    return math.ceil(tokens / LENGTH_MULTIPLE) * LENGTH_MULTIPLE
