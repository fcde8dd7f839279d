"""A file from the web, in pieces if need be, and a folder out of the archive that it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from scripts.common.errors import UserError

TIMEOUT_SEC = 60
CHUNK_BYTES = 1 << 16
# Of connections and of answers that a server means to be temporary, before the first byte of the file.
RETRY = Retry(total=4, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504), allowed_methods={"GET"})


def download(url: str, target: Path, retry: Retry = RETRY) -> None:
    """Writes what `url` serves to `target`; goes on from what a broken download left in `target`.part.

    Raises UserError for a server that cannot be reached or refuses, and for a transfer that breaks off.
    """
    partial = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            if not _receive(session, url, partial):
                partial.unlink()
                _receive(session, url, partial)
        except requests.RequestException as error:
            kept = partial.stat().st_size if partial.exists() else 0
            raise UserError(
                f"{url}: {_reason(error)}; {kept} bytes are kept in {partial}: run the same again to go on, or "
                "download it elsewhere and set verilog.problems to its folder of problems"
            ) from None
    partial.replace(target)


def _receive(session: requests.Session, url: str, partial: Path) -> bool:
    """Appends to `partial` what it lacks; False where it is longer than the file, or just as long: it is another."""
    have = partial.stat().st_size if partial.exists() else 0
    # Compressed transfer would make the bytes of a range another thing than the bytes of the file.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SEC) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return False
        response.raise_for_status()
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server knows no ranges: it starts anew
        length = response.headers.get("Content-Length")
        total = int(length) + have if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc="download", mininterval=1)
        with open(partial, "ab" if have else "wb") as handle, bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                handle.write(chunk)
                bar.update(len(chunk))
    return True


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    return f"not reached ({type(error).__name__})"


def folder_of_archive(archive: Path, folder: str) -> dict[str, bytes]:
    """{name: content} of the files in `folder` of a .tar.gz, below the one folder that such an archive has on top.

    Raises ValueError for an archive that is damaged or incomplete, or that has no such folder.
    """
    files: dict[str, bytes] = {}
    try:
        # Unpacked whole first, which compares the checksum at the end; tarfile alone would not read that far.
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive.read_bytes()))) as tar:
            for member in tar:
                parts = Path(member.name).parts
                if member.isfile() and len(parts) == 3 and parts[1] == folder:
                    content = tar.extractfile(member)
                    files[parts[2]] = content.read() if content else b""
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"damaged or incomplete ({error})") from None
    if not files:
        raise ValueError(f"it has no folder {folder}")
    return files


def content_sha256(files: Mapping[str, bytes]) -> str:
    """The hash of a folder's files: `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  ./{name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
