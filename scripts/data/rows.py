"""Lines of a JSON-lines file as rows of CodeV-R1's form, and what is wrong with those that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIELDS = ("prompt", "response")


@dataclass(frozen=True)
class Line:
    """One line of the source and its number, from 1. A line over the limit of bytes holds one byte more than that."""

    number: int
    content: bytes


@dataclass(frozen=True)
class Row:
    """What is used of a row."""

    prompt: str
    response: str


def read_lines(path: Path, max_rows: int | None, max_row_bytes: int) -> Iterator[Line]:
    """The first `max_rows` lines of the file; of a longer one than `max_row_bytes` no more than a byte beyond it is
    held in memory."""
    with open(path, "rb") as handle:
        number = 0
        while (max_rows is None or number < max_rows) and (content := handle.readline(max_row_bytes + 1)):
            number += 1
            yield Line(number, content)
            while len(content) > max_row_bytes and not content.endswith(b"\n"):
                content = handle.readline(max_row_bytes + 1)


def parse_line(content: bytes, max_row_bytes: int) -> Row | str:
    """The row of a line, or what is wrong with the line."""
    if len(content.rstrip(b"\r\n")) > max_row_bytes:
        return f"longer than data.max_row_bytes, {max_row_bytes} bytes"
    try:
        row = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte 0x{content[error.start]:02x} at offset {error.start})"
    except RecursionError:
        return "not a line of JSON (nested too deeply)"
    except ValueError as error:
        return f"not a line of JSON ({error})"
    if not isinstance(row, dict):
        return f"expected a JSON object, found {type(row).__name__}"
    for field in FIELDS:
        if problem := _text_problem(row, field):
            return problem
    return Row(row["prompt"], row["response"])


def _text_problem(row: dict[str, object], field: str) -> str | None:
    value = row.get(field)
    if not isinstance(value, str):
        return f"expected text in {field!r}, found {type(value).__name__ if field in row else 'nothing'}"
    if field == "prompt" and not value.strip():
        return "expected text in 'prompt', found white space only"
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            return f"{field!r} holds half a surrogate pair at character {error.start}: no Unicode text"
    return None
