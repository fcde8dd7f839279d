"""Files of Hugging Face repositories: fetched at one commit, resumed, verified, kept in the hub's own cache.

`huggingface_hub` is the client: it finds endpoint, token and cache (HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE),
goes on with a Range request when a connection drops, and waits when a download is told 429. Done here is what it leaves
open:

- Since 1.18 it throws away what a failed or killed download had received (its issue 4196). Here that stays in the
  cache as `blobs/ETAG.incomplete`, under the cache's own lock, and the next try or the next run goes on from there.
- It compares no content with the hub's hash. Here a file enters the cache, or is taken from it, only if it fits.
- It does not try again after a reset connection, an error 5xx, or a 429 to a question about the repository.
- A full disk is a warning there and an error here, before anything is downloaded.

Xet is not used: its downloads cannot be resumed by another process. The answers of a commit never change, so that a
pinned commit that was fetched once needs no network.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import tenacity
from huggingface_hub import constants, errors
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers

from scripts.common.files import file_lock, read_json, sha256_file, write_json, write_text
from scripts.data.disk import on_same_disk, require_free
from scripts.data.hub_errors import Damaged, NoHub, Repo, Retries, announce, in_one_line, retrying

Select = Callable[[Sequence[str]], list[str]]

COMMIT = re.compile(r"[0-9a-f]{40}")
# The sha256 of a large file, or the id of a Git blob.
ETAG = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
# Downloads of a file whose content does not fit, before that is an error.
DAMAGED_TRIES = 3


@dataclass(frozen=True)
class Fetched:
    """Files of one commit: name in the repository, and where its content lies in the cache."""

    commit: str
    licence: str | None
    files: dict[str, Path]


@dataclass(frozen=True)
class _Listing:
    """What the hub tells of a commit."""

    commit: str
    licence: str | None
    names: list[str]


@dataclass(frozen=True)
class _RemoteFile:
    """What the hub promises of a file. It always knows the size of a large one, and not that of each small one."""

    name: str
    url: str
    etag: str
    size_bytes: int | None


def fetch(repo: Repo, select: Select, target: Path, retries: Retries) -> Fetched:
    """The files that `select` picks from the names in the repository, at the commit that its revision now stands for.

    `target` is the folder that they are meant for, where there must be room too if it is on another file system.
    Raises UserError, which says what to do: no network, no token, no such thing, no space, or damaged content.
    """
    with in_one_line(repo):
        listing = _listing(repo, retries)
        names = select(listing.names)
        cache = _Cache(repo)
        files = {name: path for name in names if (path := cache.get(listing.commit, name))}
        ask = retrying(retries)
        missing = [ask(_promise, repo, listing.commit, name) for name in names if name not in files]
        _require_space(cache, missing, list(files.values()), target)
        for file in missing:
            files[file.name] = cache.add(listing.commit, file, retries)
    return Fetched(listing.commit, listing.licence, {name: files[name] for name in names})


class _Cache:
    """The hub's cache of one repository, in the layout that `huggingface_hub` documents."""

    def __init__(self, repo: Repo) -> None:
        self.folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo.id, repo_type=repo.kind)

    def blob(self, etag: str) -> Path:
        return self.folder / "blobs" / etag

    def partial(self, etag: str) -> Path:
        return self.folder / "blobs" / f"{etag}.incomplete"

    def _pointer(self, commit: str, name: str) -> Path:
        return self.folder / "snapshots" / commit / name

    def get(self, commit: str, name: str) -> Path | None:
        """The cached file if its content still fits its name, which is its hash. If not, it is removed."""
        pointer = self._pointer(commit, name)
        if not pointer.is_symlink():
            return None
        blob = pointer.parent / pointer.readlink()
        if ETAG.fullmatch(blob.name) and blob.is_file() and _content_hash(blob, blob.name) == blob.name:
            return pointer.resolve()
        blob.unlink(missing_ok=True)
        pointer.unlink()
        return None

    def add(self, commit: str, file: _RemoteFile, retries: Retries) -> Path:
        """Downloads a file into the cache, or what is missing of it; where it lies."""
        blob, pointer = self.blob(file.etag), self._pointer(commit, file.name)
        blob.parent.mkdir(parents=True, exist_ok=True)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        # The lock that other programs using this cache take for the same file.
        with file_lock(self.folder.parent / ".locks" / self.folder.name / f"{file.etag}.lock"):
            if blob.exists() and _misfit(blob, file):
                blob.unlink()
            if not blob.exists():
                _download(file, self.partial(file.etag), retries)
                self.partial(file.etag).replace(blob)
            pointer.unlink(missing_ok=True)
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        return blob


def _listing(repo: Repo, retries: Retries) -> _Listing:
    """Commit, licence and names of a revision: from the hub, or as it told them before where they cannot change."""
    revision = repo.revision or constants.DEFAULT_REVISION
    if constants.is_offline_mode():
        api = huggingface_hub.HfApi()
        revision = api.resolve_revision(
            repo.id, repo_type=repo.kind, revision=repo.revision, local_files_only=True
        ).resolved
    if COMMIT.fullmatch(revision) and _record(repo, revision).is_file():
        return _Listing(commit=revision, **read_json(_record(repo, revision)))
    listing = retrying(retries)(_ask_listing, repo, revision)
    write_json(_record(repo, listing.commit), {"licence": listing.licence, "names": listing.names})
    if revision != listing.commit:
        write_text(_Cache(repo).folder / "refs" / revision, listing.commit)
    return listing


def _record(repo: Repo, commit: str) -> Path:
    """Where the listing of a commit is kept. The hub's cache has no place for it but the one for other programs."""
    folder = repo_folder_name(repo_id=repo.id, repo_type=repo.kind)
    return huggingface_hub.cached_assets_path("listings", namespace=folder) / f"{commit}.json"


def _ask_listing(repo: Repo, revision: str) -> _Listing:
    api = huggingface_hub.HfApi()
    try:
        info: Any = api.repo_info(
            repo.id, repo_type=repo.kind, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, errors.HFValidationError):
            raise
        raise NoHub from error
    if not info.sha or info.siblings is None:
        raise NoHub
    return _Listing(info.sha, _licence(info), sorted(file.rfilename for file in info.siblings))


def _licence(info: Any) -> str | None:
    """The licence that the repository's card declares, by its own name if it has one; None if it declares none."""
    card = info.card_data or {}
    declared = card.get("license_name") or card.get("license")
    declared = declared or [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return declared if isinstance(declared, str) else ", ".join(declared) or None


def _promise(repo: Repo, commit: str, name: str) -> _RemoteFile:
    """The size and the hash that the hub promises of a file."""
    url = huggingface_hub.hf_hub_url(repo.id, name, repo_type=repo.kind, revision=commit)
    metadata = huggingface_hub.get_hf_file_metadata(url)
    if metadata.etag is None or not ETAG.fullmatch(metadata.etag):
        raise NoHub
    return _RemoteFile(name, url, metadata.etag, metadata.size)


def _download(file: _RemoteFile, partial: Path, retries: Retries) -> None:
    """Fills `partial`, from where it ends now, until it fits. One that is complete and does not fit is removed."""

    def once() -> None:
        receive = retrying(retries, progress=lambda: _size_bytes(partial))
        receive(_receive, file, partial)
        if problem := _misfit(partial, file):
            partial.unlink()
            raise Damaged(f"{file.name} came {problem}")

    print(f"hub: {file.name}: {_size_bytes(partial)} of {file.size_bytes or '?'} bytes are here", file=sys.stderr)
    again = tenacity.retry_if_exception_type(Damaged)
    tenacity.Retrying(
        stop=tenacity.stop_after_attempt(DAMAGED_TRIES), retry=again, before_sleep=announce, reraise=True
    )(once)


def _receive(file: _RemoteFile, partial: Path) -> None:
    """Appends what is missing of the file. Whether it fits is not checked here."""
    with open(partial, "ab") as handle:
        if file.size_bytes is None or handle.tell() > file.size_bytes:
            handle.seek(handle.truncate(0))
        if handle.tell() == file.size_bytes:
            return
        # Uncompressed, because a Range of compressed content would be one of other bytes.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        try:
            http_get(file.url, handle, resume_size=handle.tell(), headers=headers, displayed_filename=file.name)
        except OSError as error:
            # The client's own check, that the answer is as long as its headers say, has no error number.
            if isinstance(error, errors.HfHubHTTPError | errors.OfflineModeIsEnabled) or error.errno is not None:
                raise


def _misfit(path: Path, file: _RemoteFile) -> str | None:
    """How a received file differs from what the hub promises; None if it does not."""
    size = path.stat().st_size
    if file.size_bytes is not None and size != file.size_bytes:
        return f"with {size} bytes, not the {file.size_bytes} that the hub promises"
    if (found := _content_hash(path, file.etag)) != file.etag:
        return f"with other content than the hub promises (hash {found[:12]}, not {file.etag[:12]})"
    return None


def _content_hash(path: Path, etag: str) -> str:
    """The hash of the content, of the kind that `etag` is: sha256, or the sha1 by which Git names a blob."""
    if len(etag) == 64:
        return sha256_file(path)
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: digest).hexdigest()


def _require_space(cache: _Cache, missing: list[_RemoteFile], cached: list[Path], target: Path) -> None:
    """Raises UserError when the files do not fit into the cache or where they go next."""
    sizes = {file.etag: file.size_bytes or 0 for file in missing}
    received = sum(_size_bytes(cache.partial(etag)) for etag in sizes)
    require_free(cache.folder, sum(sizes.values()) - received, "set HF_HOME to a folder on a larger disk")
    if not on_same_disk(cache.folder, target):
        # What lies in the target makes way for the new files.
        old = sum(path.stat().st_size for path in target.glob("*") if path.is_file())
        need = sum(file.size_bytes or 0 for file in missing) + sum(path.stat().st_size for path in cached) - old
        require_free(target, need, "put HF_HOME on the same file system, so that files are linked, not copied")


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
