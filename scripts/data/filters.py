"""The rows that are left of a data set: filters in the order that the configuration names them, each with its counter.

A filter is a function of the samples that the ones before it left; it gives one entry a sample, None to keep it or why
it is dropped. `no_answer` and `no_module` are what reading finds (read_samples.py); `too_long` needs the tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from scripts.common.token_rows import TokenRows
from scripts.data.codev import Sample
from scripts.data.parallel import batched, ordered_map
from scripts.data.read_samples import BadRow
from scripts.data.render import Renderer, TokenRow

FilterName = Literal[
    "no_answer", "no_module", "exact_duplicate", "near_duplicate", "does_not_compile", "overlaps_evaluation", "too_long"
]
Filter = Callable[[Sequence[Sample]], Sequence[str | None]]
# Samples that one task of a process renders: at most so many, and no more once they hold so many characters.
CHUNK_SAMPLES = 256
CHUNK_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Dropped:
    """A row that a filter dropped, and what the filter says of it."""

    id: str
    detail: str


DroppedRows = dict[FilterName, list[Dropped]]


@dataclass(frozen=True)
class Selection:
    """Samples and their tokens, row by row, and what became of the others. `lengths` are the tokens of every sample
    that was rendered, those of over-long ones too."""

    samples: list[Sample]
    tokens: TokenRows
    lengths: np.ndarray
    dropped: DroppedRows
    unspellable: list[BadRow]


def select(
    samples: list[Sample],
    dropped_in_reading: DroppedRows,
    filters: Sequence[tuple[FilterName, Filter | None]],
    render: Render,
) -> Selection:
    """Applies the filters in order; the one that is None is `too_long`, where `render` makes the tokens."""
    dropped: DroppedRows = dict(dropped_in_reading)
    rendered: Rendered | None = None
    tokens: TokenRows | None = None
    for name, function in filters:
        if function is None:
            rendered = render(samples)
            samples, tokens = rendered.samples, rendered.tokens
            reasons: Sequence[str | None] = rendered.too_long
        else:
            reasons = function(samples)
        judged = zip(samples, reasons, strict=True)
        dropped[name] = [Dropped(sample.id, reason) for sample, reason in judged if reason is not None]
        kept = np.array([reason is None for reason in reasons], bool)
        samples = [sample for sample, keep in zip(samples, kept, strict=True) if keep]
        if tokens is not None:
            tokens = tokens.only(kept)
    assert rendered is not None, "too_long is among the filters: the configuration's rules see to it"
    assert tokens is not None
    return Selection(samples, tokens, rendered.lengths, dropped, rendered.unspellable)


@dataclass(frozen=True)
class Rendered:
    """Samples with their tokens, and which of them are over-long (a reason a sample)."""

    samples: list[Sample]
    tokens: TokenRows
    too_long: list[str | None]
    lengths: np.ndarray
    unspellable: list[BadRow]


@dataclass(frozen=True)
class Render:
    """Renders samples, in several processes, and says which are longer than `max_seq_len_tokens`."""

    renderer: Renderer
    max_seq_len_tokens: int
    processes: int

    def __call__(self, samples: list[Sample]) -> Rendered:
        chunks = batched(samples, CHUNK_SAMPLES, CHUNK_CHARACTERS, lambda s: len(s.prompt) + len(s.answer))
        spelled: list[Sample] = []
        unspellable: list[BadRow] = []
        arrays, lengths, answer_starts = [], [], []
        outcomes = ordered_map(functools.partial(_render_chunk, self.renderer), chunks, self.processes)
        progress = tqdm(total=len(samples), desc="render", unit="row", mininterval=1)
        rest = iter(samples)
        for chunk in outcomes:
            arrays.append(chunk.tokens)
            for length, start, problem in zip(chunk.lengths, chunk.answer_starts, chunk.problems, strict=True):
                sample = next(rest)
                if problem is not None:
                    unspellable.append(BadRow(sample.id, problem))
                    continue
                spelled.append(sample)
                lengths.append(length)
                answer_starts.append(start)
            progress.update(len(chunk.problems))
        progress.close()
        sizes = np.array(lengths, np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        tokens = np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
        rows = TokenRows(tokens, offsets, np.array(answer_starts, np.int32))
        return Rendered(spelled, rows, over_long(sizes, self.max_seq_len_tokens), sizes, unspellable)


def over_long(lengths: np.ndarray, max_seq_len_tokens: int) -> list[str | None]:
    """Over-long rows are dropped, never truncated: half a module teaches half modules."""
    return [None if length <= max_seq_len_tokens else f"{length} tokens" for length in lengths.tolist()]


@dataclass(frozen=True)
class _RenderedChunk:
    """What a process hands back: tokens end to end of the samples without a problem, and a list entry a sample."""

    tokens: np.ndarray
    lengths: list[int]
    answer_starts: list[int]
    problems: list[str | None]


def _render_chunk(renderer: Renderer, samples: list[Sample]) -> _RenderedChunk:
    rows: list[Any] = renderer.render(samples)
    good = [row.input_ids for row in rows if isinstance(row, TokenRow)]
    return _RenderedChunk(
        tokens=np.concatenate(good) if good else np.zeros(0, np.int32),
        lengths=[len(row.input_ids) if isinstance(row, TokenRow) else 0 for row in rows],
        answer_starts=[row.answer_start if isinstance(row, TokenRow) else 0 for row in rows],
        problems=[None if isinstance(row, TokenRow) else row for row in rows],
    )
