"""Checkpoints in a bucket (gs://, or whatever fsspec knows), as folders that count once their manifest is there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from scripts.common.files import MANIFEST_NAME

P = ParamSpec("P")
T = TypeVar("T")


class BucketError(Exception):
    """The bucket did not do as it was asked; the message is one line."""


def _in_one_line(method: Callable[P, T]) -> Callable[P, T]:
    """Backends raise what they like (HTTP clients' errors, their own, OSError): here all of it is BucketError."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            text = " ".join(str(error).split()) or "no message"
            raise BucketError(f"{type(error).__name__}: {text[:200]}") from error

    return guarded


def is_bucket_url(root: str) -> bool:
    return "://" in root


class Bucket:
    """Folders of files below `url`, such as gs://bucket/path. Methods raise BucketError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @functools.cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system and the path below it."""
        import fsspec

        # A listing must show what another machine has written meanwhile.
        return fsspec.core.url_to_fs(self.url, use_listings_cache=False)

    @_in_one_line
    def complete_folders(self) -> list[str]:
        """Names of the folders that have a manifest; none where nothing has been written yet."""
        files, root = self._opened
        files.invalidate_cache()
        # A bucket that does not exist is an error, a folder in it that does not is empty.
        files.ls(root.partition("/")[0])
        if not files.exists(root):
            return []
        names = [entry.rstrip("/").rpartition("/")[2] for entry in files.ls(root, detail=False)]
        return [name for name in names if files.exists(f"{root}/{name}/{MANIFEST_NAME}")]

    @_in_one_line
    def upload(self, folder: Path) -> None:
        """Copies `folder` under its own name, the manifest last."""
        files, root = self._opened
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in sorted(paths, key=lambda path: path.name == MANIFEST_NAME):
            files.put_file(str(path), f"{root}/{folder.name}/{path.relative_to(folder)}")

    @_in_one_line
    def download(self, name: str, target: Path) -> None:
        """Copies the folder `name` to `target`, which is made."""
        files, root = self._opened
        for path in files.find(f"{root}/{name}"):
            local = target / path.removeprefix(f"{root}/{name}/")
            local.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(path, str(local))

    @_in_one_line
    def remove(self, name: str) -> None:
        """Removes the folder `name`, its manifest first."""
        files, root = self._opened
        files.rm_file(f"{root}/{name}/{MANIFEST_NAME}")
        files.rm(f"{root}/{name}", recursive=True)
