"""A model's folder on this machine or in a bucket (`gs://`, `s3://`): the few things a merge does with either."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from scripts.common.errors import UserError
from scripts.common.files import MANIFEST_NAME, disk_errors_in_one_line

# Of an object in a bucket: what is fetched ahead, and the size of an upload's parts (10,000 of them at most).
REMOTE_BLOCK_BYTES = 64 << 20


class HashedFile:
    """A file being written: counts and hashes what passes."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: Any) -> None:
        self._handle.write(data)
        self._sha256.update(data)
        self.size_bytes += memoryview(data).nbytes

    @property
    def entry(self) -> dict[str, Any]:
        """The file's entry in a manifest."""
        return {"size_bytes": self.size_bytes, "sha256": self._sha256.hexdigest()}


@dataclass(frozen=True)
class ModelFolder:
    """The files directly in one folder. Every file appears whole or not at all."""

    fs: fsspec.AbstractFileSystem
    root: str

    @classmethod
    def at(cls, location: str) -> ModelFolder:
        """The folder `location` (or of the manifest `location`): a path, or a URL that fsspec has a driver for."""
        if location.endswith(f"/{MANIFEST_NAME}") or location == MANIFEST_NAME:
            location = location[: -len(MANIFEST_NAME)] or "."
        try:
            fs, root = fsspec.url_to_fs(location)
        except (ValueError, ImportError) as error:
            raise UserError(f"{location}: neither a folder nor a URL that can be read ({error})") from None
        return cls(fs, os.path.realpath(root) if isinstance(fs, LocalFileSystem) else root.rstrip("/"))

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def __str__(self) -> str:
        return self.root if self.is_local else self.fs.unstrip_protocol(self.root)

    def sizes(self) -> dict[str, int]:
        """Name -> bytes of every file directly in the folder; empty where there is no folder.

        Raises UserError when the bucket cannot be reached or may not be listed.
        """
        self.fs.invalidate_cache()
        try:
            entries = self.fs.ls(self.root, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # each driver raises errors of its own: credentials, names, permissions
            raise UserError(f"{self}: cannot be listed ({type(error).__name__}: {error})") from None
        # A folder of Hugging Face's cache holds links; their size is the file's.
        files = (entry for entry in entries if entry["type"] == "file" or entry.get("islink"))
        return {entry["name"].rpartition("/")[2]: entry["size"] for entry in files}

    def open_read(self, name: str) -> BinaryIO:
        if self.is_local:
            return open(self.path(name), "rb", buffering=0)
        return self.fs.open(self.path(name), "rb", block_size=REMOTE_BLOCK_BYTES)

    def read_json(self, name: str) -> Any:
        try:
            with self.open_read(name) as handle:
                return json.loads(handle.read())
        except FileNotFoundError:
            raise UserError(f"{self}/{name}: no such file") from None
        except ValueError as error:
            raise UserError(f"{self}/{name}: not JSON ({error})") from None

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[HashedFile]:
        """A file that appears as `name` when the block ends, and not when it raises or the process dies."""
        if self.is_local:
            with disk_errors_in_one_line(Path(self.root)):
                Path(self.root).mkdir(parents=True, exist_ok=True)
                partial = Path(self.path(f".{name}.partial"))
                try:
                    with open(partial, "wb", buffering=0) as handle:
                        yield HashedFile(handle)
                    partial.replace(self.path(name))
                finally:
                    partial.unlink(missing_ok=True)
            return
        # An object comes into being when its upload is completed, which leaving out `close` prevents.
        handle = self.fs.open(self.path(name), "wb", block_size=REMOTE_BLOCK_BYTES)
        try:
            yield HashedFile(handle)
        except BaseException:
            with contextlib.suppress(Exception):
                handle.discard()
            handle.closed = True
            raise
        handle.close()

    def version(self, name: str) -> str:
        """Changes when the file is written anew: by its time, or the bucket's tag."""
        return str(self.fs.ukey(self.path(name)))

    def write_json(self, name: str, payload: Any) -> dict[str, Any]:
        """Returns the file's entry in a manifest."""
        with self.writing(name) as file:
            file.write((json.dumps(payload, indent=2, allow_nan=False) + "\n").encode())
        return file.entry

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.path(name))

    def require_space(self, size_bytes: int) -> None:
        """Raises UserError when `size_bytes` more do not fit on the local disk."""
        if not self.is_local:
            return
        existing = Path(self.root)
        while not existing.exists():
            existing = existing.parent
        free = shutil.disk_usage(existing).free
        if free < size_bytes:
            raise UserError(
                f"{self}: the merged model needs {size_bytes / 1e9:.2f} GB more, {free / 1e9:.2f} GB are free; "
                "free some space there, then run the same again"
            )


def read_exactly(handle: Any, buffer: memoryview, name: str) -> None:
    """Fills `buffer` from `handle`. Raises UserError where the file ends before."""
    done = 0
    while done < len(buffer):
        count = handle.readinto(buffer[done:])
        if not count:
            raise UserError(f"{name}: ends {len(buffer) - done} bytes before its header says")
        done += count
