"""Files that are never half-written: atomic writes, locks, hashes and the manifest that makes a folder a model."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from scripts.common.errors import UserError

MANIFEST_NAME = "manifest.json"


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[TextIO]:
    """A text file that appears at `path` whole, on success, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    with atomic_writer(path) as handle:
        handle.write(text)


def write_json(path: Path, payload: Any) -> None:
    """`payload` as indented JSON. NaN and infinities are errors: unknown is null."""
    write_text(path, json.dumps(payload, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode
    with atomic_writer(path) as handle:
        handle.writelines(f"{encode(row)}\n" for row in rows)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON ({error})") from None


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file, in order. A line that is not an object is a UserError that names it."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with open(path, "rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                row = json.loads(line.decode("utf-8"))
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise UserError(f"{path}:{number}: not a line of JSON ({error})") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
            yield row


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """An exclusive lock on `path` for as long as the context is open; waits for whoever holds it, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            print(f"{path}: process {holder} is at work on this; waiting for it to end", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


@contextlib.contextmanager
def disk_errors_in_one_line(folder: Path) -> Iterator[None]:
    """A full disk, a quota or a missing permission, met while writing below `folder`, as a UserError that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{folder}: {error.strerror}: free some space there, then run the same again") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise UserError(f"{error.filename or folder}: cannot be written ({error.strerror})") from None
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """`target` with the content of `source`: a hard link where the file system allows one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def replace_files(folder: Path, sources: Mapping[str, Path]) -> None:
    """Makes `folder` hold the files `sources` (name: file with its content) and no other; its manifest goes first.

    What lies in `folder` is removed, so it must be one that steps fill: flat, and not where a source lies. Otherwise,
    and when the disk is full, a UserError.
    """
    sources = {name: source.resolve() for name, source in sources.items()}
    with disk_errors_in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        old = sorted(folder.iterdir())
        if kept := next((path for path in old if path.is_dir() and not path.is_symlink()), None):
            raise UserError(f"{kept}: a folder where only files of an earlier run should be; remove {folder}")
        if folder.resolve() in {source.parent for source in sources.values()}:
            raise UserError(f"{folder}: holds the source itself; choose another folder for the output")
        (folder / MANIFEST_NAME).unlink(missing_ok=True)
        for path in old:
            path.unlink(missing_ok=True)
        for name, source in sources.items():
            link_or_copy(source, folder / name)


def fingerprint(value: Any) -> str:
    """First 16 hex digits of the sha256 of `value` as canonical JSON: the key of a side folder of long state."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def sha256_file(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_manifest(folder: Path, extra: dict[str, Any] | None = None) -> Path:
    """Writes `folder/manifest.json` with size and sha256 of every file below `folder`, last of all; returns its path.

    `extra` adds top-level keys that say what the folder holds.
    """
    files = {
        str(path.relative_to(folder)): {"size_bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST_NAME
    }
    write_json(folder / MANIFEST_NAME, {**(extra or {}), "files": files})
    return folder / MANIFEST_NAME


def read_manifest(path: Path, verify_hashes: bool = False) -> dict[str, Any]:
    """The manifest at `path`, after checking that each file it names is there with its size (and sha256 if asked).

    Raises UserError naming the first file that does not fit.
    """
    manifest = read_json(path)
    for name, entry in manifest["files"].items():
        file = path.parent / name
        if not file.is_file() or file.stat().st_size != entry["size_bytes"]:
            found = f"{file.stat().st_size} bytes" if file.is_file() else "nothing"
            raise UserError(f"{file}: {path} promises {entry['size_bytes']} bytes, found {found}; delete {path}")
        if verify_hashes and sha256_file(file) != entry["sha256"]:
            raise UserError(f"{file}: its content is not what {path} promises; delete {path}")
    return manifest
