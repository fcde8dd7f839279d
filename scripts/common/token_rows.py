"""Rows of tokens as the data stage writes them, and the arrays of a micro-batch made of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common.batching import MicroBatch
from scripts.common.errors import UserError

COLUMNS = ("input_ids", "answer_start")


@dataclass(frozen=True)
class TokenRows:
    """Training rows end to end in one array: row i is `tokens[offsets[i]:offsets[i + 1]]`.

    `tokens` is int32 of shape (tokens of all rows,), `offsets` int64 of shape (rows + 1,). From `answer_starts[i]`,
    int32 of shape (rows,), counted from the row's start, to the row's end are the answer and its end-of-turn token:
    what the loss is taken over.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    answer_starts: np.ndarray

    def __post_init__(self) -> None:
        lengths = self.lengths
        if len(lengths) != len(self.answer_starts) or self.offsets[-1] > len(self.tokens):
            raise ValueError("tokens, offsets and answer_starts are not of the same rows")
        if not ((self.answer_starts > 0) & (self.answer_starts < lengths)).all():
            raise ValueError("a row's answer must start after its first token and before its end")

    @classmethod
    def from_lists(cls, rows: list[list[int]], answer_starts: list[int]) -> TokenRows:
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        tokens = np.array([token for row in rows for token in row], dtype=np.int32)
        return cls(tokens, offsets, np.array(answer_starts, dtype=np.int32))

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 of shape (rows,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> np.ndarray:
        """The tokens of one row, int32 of shape (length,), not copied."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def only(self, kept: np.ndarray) -> TokenRows:
        """The rows for which `kept`, bool of shape (rows,), is true."""
        if kept.all():
            return self
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths[kept])])
        # Rows are mostly kept: whole runs of them are copied, not token by token.
        changes = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
        runs = [self.tokens[self.offsets[a] : self.offsets[b]] for a, b in changes.reshape(-1, 2)]
        return TokenRows(np.concatenate([self.tokens[:0], *runs]), offsets, self.answer_starts[kept])

    def hold_out(self, count: int) -> tuple[TokenRows, TokenRows]:
        """(the others, `count` rows that training must not see): those whose tokens have the smallest sha256.

        The same in every run over the same rows, in whatever order they lie. Raises ValueError when there are fewer.
        """
        if count > len(self):
            raise ValueError(f"{len(self)} rows are fewer than are to be held out")
        held_out = np.zeros(len(self), bool)
        if count:
            digests = [hashlib.sha256(self.row(index).tobytes()).digest() for index in range(len(self))]
            held_out[sorted(range(len(self)), key=digests.__getitem__)[:count]] = True
        return self.only(~held_out), self.only(held_out)


def read_token_rows(path: Path) -> TokenRows:
    """Rows of the Parquet that the data stage wrote. Raises UserError when it is missing or not of that form."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, columns=list(COLUMNS)).combine_chunks()
        lists = table["input_ids"].combine_chunks()
        return TokenRows(
            tokens=lists.values.to_numpy(),
            offsets=lists.offsets.to_numpy().astype(np.int64),
            answer_starts=table["answer_start"].to_numpy(),
        )
    except (OSError, pyarrow.ArrowInvalid, AttributeError, ValueError) as error:
        raise UserError(f"{path}: not the data stage's Parquet ({error}); delete it and run again") from None


def with_held_out(count: int) -> str:
    """What a message about rows adds when `count` of them are held out."""
    return f", with train.held_out_rows = {count}" if count else ""


def batch_arrays(rows: TokenRows, micro_batch: MicroBatch, samples_per_step: int) -> dict[str, np.ndarray]:
    """The arrays of a micro-batch, each of shape (rows, row_len), padded on the right.

    `tokens`, int32. `positions`, int32: of each token in its sample, so that they start again with each sample of a
    packed row. `documents`, int32: 1, 2, ... for the samples of a row, 0 on padding; a token attends within its own.
    `loss_weights`, float32: 1 / (tokens of the sample's answer x samples_per_step) on the tokens of the answer, 0
    elsewhere. Summed over the micro-batches of a step, weight x negative log-likelihood is the mean over the samples
    of the mean over each answer: the same loss however the samples lie in rows.
    """
    shape = (len(micro_batch.rows), micro_batch.row_len)
    tokens, positions, documents = (np.zeros(shape, np.int32) for _ in range(3))
    loss_weights = np.zeros(shape, np.float32)
    for number, samples in enumerate(micro_batch.rows):
        start = 0
        for document, sample in enumerate(samples, start=1):
            ids = rows.row(sample)
            answer, end = start + rows.answer_starts[sample], start + len(ids)
            tokens[number, start:end] = ids
            positions[number, start:end] = np.arange(len(ids))
            documents[number, start:end] = document
            loss_weights[number, answer:end] = 1 / ((end - answer) * samples_per_step)
            start = end
        positions[number, start:] = np.arange(micro_batch.row_len - start)
    return {"tokens": tokens, "positions": positions, "documents": documents, "loss_weights": loss_weights}
