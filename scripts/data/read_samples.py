"""The rows of the source as training pairs: read and parsed by several processes, in order."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.data import codev
from scripts.data.codev import Sample
from scripts.data.parallel import batched, ordered_map
from scripts.data.rows import Line, parse_line, read_lines

# Lines that one task of a process holds: at most so many, and no more once they hold so many bytes.
CHUNK_ROWS = 256
CHUNK_BYTES = 1 << 20
DETAIL_CHARACTERS = 60


@dataclass(frozen=True)
class BadRow:
    """A row that is none, and what is wrong with it."""

    id: str
    problem: str


@dataclass(frozen=True)
class NoPair:
    """A row whose response holds no answer, or an answer without a module; `detail` shows how the response ends."""

    id: str
    reason: Literal["no_answer", "no_module"]
    detail: str


def read_samples(
    path: Path, max_rows: int | None, max_row_bytes: int, processes: int
) -> Iterator[Sample | NoPair | BadRow]:
    """One of the three for each of the first `max_rows` lines of the source, in order."""
    lines = batched(read_lines(path, max_rows, max_row_bytes), CHUNK_ROWS, CHUNK_BYTES, lambda line: len(line.content))
    for outcomes in ordered_map(functools.partial(_parse, max_row_bytes), lines, processes):
        yield from outcomes


def row_id(number: int) -> str:
    """How messages and files name the row of line `number` (from 1)."""
    return f"row{number}"


def _parse(max_row_bytes: int, lines: list[Line]) -> list[Sample | NoPair | BadRow]:
    return [_parse_one(line, max_row_bytes) for line in lines]


def _parse_one(line: Line, max_row_bytes: int) -> Sample | NoPair | BadRow:
    name = row_id(line.number)
    row = parse_line(line.content, max_row_bytes)
    if isinstance(row, str):
        return BadRow(name, row)
    pair = codev.parse_row(name, row.prompt, row.response)
    return pair if isinstance(pair, Sample) else NoPair(name, pair, f"ends in {row.response[-DETAIL_CHARACTERS:]!r}")
