"""A tar.gz whose bytes depend on its members alone, with the sha256 of each, and how to check it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from scripts.common.errors import UserError
from scripts.common.files import sha256_file

SUMS_NAME = "SHA256SUMS"


def write_bundle(path: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Writes `path` with `files` and `texts` by member name, and SHA256SUMS over all of them.

    Byte for byte the same for the same names and contents: sorted names, no times, no owners.
    """
    sums = {name: sha256_file(file) for name, file in files.items()}
    sums |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    contents = {**texts, SUMS_NAME: listing}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with (
        open(partial, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted([*files, *contents]):
            content = contents[name].encode() if name in contents else files[name].read_bytes()
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
    partial.replace(path)


def verify_bundle(path: Path) -> int:
    """Checks every member against SHA256SUMS and returns how many there are.

    Raises UserError naming the first member that is changed, missing, not listed, or in the archive twice.
    """
    found: dict[str, str] = {}
    listing: str | None = None
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                handle = archive.extractfile(member)
                if handle is None or member.name in found:
                    raise UserError(f"{path}: {member.name} is {'there twice' if handle else 'not a file'}")
                content = handle.read()
                found[member.name] = hashlib.sha256(content).hexdigest()
                listing = content.decode() if member.name == SUMS_NAME else listing
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(f"{path}: not a readable tar.gz ({error})") from None
    if listing is None:
        raise UserError(f"{path}: no {SUMS_NAME} in it")
    promised = {name: digest for digest, _, name in (line.partition("  ") for line in listing.splitlines())}
    del found[SUMS_NAME]
    for name in sorted(promised.keys() | found.keys()):
        if name not in found or name not in promised:
            raise UserError(f"{path}: {name} is {'missing' if name in promised else f'not listed in {SUMS_NAME}'}")
        if found[name] != promised[name]:
            raise UserError(f"{path}: {name} is not what {SUMS_NAME} promises")
    return len(found)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member
