"""A side file of finished work: one JSON line each, appended the moment it is there, so that a killed run goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from scripts.common.errors import UserError

Key = TypeVar("Key")
Row = dict[str, Any]


class JsonlStore(Generic[Key]):
    """The rows in the file `path`, in `rows` by the key that `key_of` finds in each; of a key the last.

    A last line that a killed writer tore is cut off when the file is opened, and its work is done again. Use it under a
    lock. Raises UserError for any other line that is none of this store's.
    """

    def __init__(self, path: Path, key_of: Callable[[Row], Key]) -> None:
        self.path = path
        self.key_of = key_of
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        self.rows: dict[Key, Row] = dict(self._parse(whole))

    def append(self, row: Row) -> None:
        """Keeps a finished row, also over a power cut."""
        key = self.key_of(row)
        with open(self.path, "ab") as handle:
            handle.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        self.rows[key] = row

    def _parse(self, content: bytes) -> Iterator[tuple[Key, Row]]:
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                row = json.loads(line)
                yield self.key_of(row), row
            except ValueError as error:  # not JSON, or not UTF-8
                raise UserError(f"{self.path}:{number}: not a line of JSON ({error}); delete the file") from None
            except (KeyError, TypeError) as error:
                raise UserError(f"{self.path}:{number}: not a row of this file ({error!r}); delete the file") from None
