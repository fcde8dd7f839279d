"""A base model in a bucket (gs://, s3://, or whatever fsspec knows): staged in a folder, resumed when killed, hashed.

The folder's name is a hash of what the bucket tells of every file, its version among it: a file that changes in the
bucket is another folder, never the rest of an old one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
from tqdm import tqdm

from scripts.common.errors import UserError
from scripts.common.files import (
    MANIFEST_NAME,
    disk_errors_in_one_line,
    file_lock,
    fingerprint,
    read_json,
    sha256_file,
    write_manifest,
)
from scripts.data.disk import on_same_disk, require_free

BLOCK_BYTES = 16 << 20


def stage(url: str, select: Callable[[Sequence[str]], list[str]], staging: Path, target: Path) -> dict[str, Path]:
    """The files that `select` picks from the names in the bucket's folder `url`, by name, below `staging`.

    `target` is the folder that they are meant for, where there must be room too if it is on another disk. Raises
    UserError: no such place, no access, no space, or content that is not what the bucket promises.
    """
    with _bucket_errors_in_one_line(url):
        bucket, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        listing = {entry["name"].rpartition("/")[2]: entry for entry in bucket.ls(root, detail=True)}
        names = select([name for name, entry in listing.items() if entry["type"] == "file"])
        versions = {name: [listing[name]["size"], bucket.ukey(listing[name]["name"])] for name in names}
    folder = staging / fingerprint({"url": url, "files": versions})
    with disk_errors_in_one_line(staging), file_lock(staging / f"{folder.name}.lock"):
        here = _verified(folder)
        missing = [listing[name] for name in names if name not in here]
        _require_room(folder, missing, target, sum(listing[name]["size"] for name in names))
        for entry in missing:
            _fetch(bucket, url, entry, folder)
        if missing:
            write_manifest(folder, {"source": url})
    return {name: folder / name for name in names}


def _verified(folder: Path) -> set[str]:
    """Names of the files in `folder` that are complete; by their hash too, once all had been there."""
    complete = {path.name for path in folder.glob("*") if path.suffix != ".incomplete" and path.name != MANIFEST_NAME}
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        return complete
    recorded = read_json(manifest)["files"]
    damaged = {name for name in complete if recorded.get(name, {}).get("sha256") != sha256_file(folder / name)}
    for name in damaged:
        (folder / name).unlink()
    return complete - damaged


def _require_room(folder: Path, missing: list[dict[str, Any]], target: Path, total_bytes: int) -> None:
    received = sum(path.stat().st_size for path in folder.glob("*.incomplete"))
    need = sum(entry["size"] for entry in missing) - received
    require_free(folder, need, "set model.staging_dir to a folder on a larger disk")
    if not on_same_disk(folder, target):
        require_free(
            target, total_bytes, "set model.staging_dir to the same disk, so that files are linked, not copied"
        )


def _fetch(bucket: Any, url: str, entry: dict[str, Any], folder: Path) -> None:
    """Receives a file from where an earlier try ended, and lets it in if it is as long, and hashes as, promised."""
    name, size = entry["name"].rpartition("/")[2], entry["size"]
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.incomplete"
    progress = tqdm(total=size, desc=name, unit="B", unit_scale=True)
    with open(partial, "ab") as handle, progress:
        progress.update(handle.tell())
        while (at := handle.tell()) < size:
            with _bucket_errors_in_one_line(url):
                block = bucket.cat_file(entry["name"], start=at, end=min(at + BLOCK_BYTES, size))
            if not block:
                break
            handle.write(block)
            progress.update(len(block))
    with open(partial, "rb") as handle:
        md5 = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).digest()
    promised = entry.get("md5Hash")
    if partial.stat().st_size != size or (promised and base64.b64decode(promised) != md5):
        partial.unlink()
        raise UserError(f"model.source: {url}/{name} came otherwise than the bucket promises; run the same again")
    partial.replace(folder / name)


@contextlib.contextmanager
def _bucket_errors_in_one_line(url: str) -> Iterator[None]:
    """Backends raise what they like (HTTP clients' errors, their own, OSError): here all of it is a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200] or "no message"
        raise UserError(
            f"model.source: {url} cannot be read ({type(error).__name__}: {text}): check the path, the credentials and "
            "the network; what was received is kept"
        ) from None
