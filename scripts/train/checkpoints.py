"""A run's checkpoints: folders that are there whole or not at all, newest first, in a bucket too if one is named.

A checkpoint is a folder named after its position in the run. `manifest.json` in it has the sha256 of each of its files;
the folder gets its name when the manifest is written. What a checkpoint holds is the training backend's affair. This
module needs no framework.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import UserError
from scripts.common.files import MANIFEST_NAME, read_manifest, write_manifest
from scripts.train.bucket import Bucket, BucketError

# Kept free beside a checkpoint's own size: logs, metrics and the manifest are written to the same disk.
SPARE_BYTES = 16 << 20


@dataclass(frozen=True)
class Checkpoint:
    """`position` is what the backend counts: micro-batches (Tunix) or optimizer steps (TRL)."""

    position: int
    folder: Path


class CheckpointStore:
    """The checkpoints in `folder`, of which the newest `kept` stay; each is copied to `bucket`, if there is one.

    Folders are named `prefix` + position. One process at a time may use a store: hold a lock.
    """

    def __init__(self, folder: Path, kept: int, bucket: Bucket | None = None, prefix: str = "") -> None:
        self.folder = folder
        self._kept = kept
        self._bucket = bucket
        self._name = re.compile(rf"{re.escape(prefix)}(\d+)")
        self._prefix = prefix
        self._uploader = ThreadPoolExecutor(max_workers=1)
        self._upload: Future[None] | None = None
        self._copied = False
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*"):
            shutil.rmtree(leftover)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint whose files are all what its manifest promises, from the bucket where only it has it.

        A damaged one is set aside as NAME.damaged with a warning. Raises UserError when the bucket does not answer.
        """
        remote = set(self._remote_positions())
        local = dict(self._local())
        for position in sorted(remote | set(local), reverse=True):
            folder = local.get(position)
            if folder is not None:
                problem = damage(folder)
                if problem is None:
                    return Checkpoint(position, folder)
                self._set_aside(folder)
                _warn(f"checkpoint {folder}: {problem}; set aside as {folder.name}.damaged, looking for another")
            if position in remote:
                downloaded = self._download(position)
                if downloaded is not None:
                    return downloaded
        if local or remote:
            _warn(f"{self.folder}: no checkpoint can be used, training starts at its first step")
        return None

    def kept(self) -> list[Checkpoint]:
        """The checkpoints on this machine, newest first."""
        return [Checkpoint(position, folder) for position, folder in self._local()]

    def write(self, position: int, fill: Callable[[Path], None], size_bytes: int) -> Checkpoint:
        """Makes the checkpoint of `position`: `fill` writes its files, about `size_bytes` in all, into a new folder.

        Older ones beyond the number kept are removed after that, or before it where the disk has no room otherwise;
        the newest always stays. Raises UserError, with everything older in place, when it cannot be written.
        """
        self._finish_upload()
        self.make_room(size_bytes)
        partial = self.folder / f".{position}.partial"
        try:
            partial.mkdir()
            fill(partial)
            write_manifest(partial)
        except (OSError, ValueError) as error:  # tensorstore's full disk is a ValueError
            shutil.rmtree(partial, ignore_errors=True)
            raise UserError(self._not_written(position, error)) from None
        target = self._folder_of(position)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        return self._finished(Checkpoint(position, target))

    def adopt(self, position: int) -> Checkpoint:
        """Completes a checkpoint that the backend itself has written under its name in the store's folder."""
        self._finish_upload()
        folder = self._folder_of(position)
        write_manifest(folder)
        return self._finished(Checkpoint(position, folder))

    def make_room(self, size_bytes: int) -> None:
        """Removes old checkpoints, but never the newest, until `size_bytes` fit. Raises UserError when they cannot."""
        needed = size_bytes + SPARE_BYTES
        while shutil.disk_usage(self.folder).free < needed:
            old = list(self._local())[1:]
            if not old:
                free = shutil.disk_usage(self.folder).free
                raise UserError(
                    f"{self.folder}: a checkpoint needs {_gb(needed)}, {_gb(free)} are free: free some space there, or "
                    "name another place with train.checkpoint_root, then run the same again"
                )
            _warn(f"checkpoint {old[-1][1]}: removed to make room for the next")
            self._remove(old[-1][1])

    def close(self) -> None:
        """Waits for the copy to the bucket, and tries once more where it failed."""
        self._finish_upload()
        if self._bucket is not None and not self._copied:
            self._upload = self._uploader.submit(self._copy_to_bucket, self._bucket)
            self._finish_upload()
        self._uploader.shutdown()

    def _local(self) -> Iterator[tuple[int, Path]]:
        """(position, folder) of the checkpoints on this machine, newest first."""
        found = [(match, path) for path in self.folder.iterdir() if (match := self._name.fullmatch(path.name))]
        yield from sorted(((int(match[1]), path) for match, path in found), reverse=True)

    def _folder_of(self, position: int) -> Path:
        return self.folder / f"{self._prefix}{position}"

    def _finished(self, checkpoint: Checkpoint) -> Checkpoint:
        for _, folder in list(self._local())[self._kept :]:
            self._remove(folder)
        if self._bucket is not None:
            self._upload = self._uploader.submit(self._copy_to_bucket, self._bucket)
        return checkpoint

    def _remove(self, folder: Path) -> None:
        """Under another name first: a removal that is killed leaves no checkpoint with files missing."""
        doomed = folder.with_name(f".{folder.name}.removed")
        folder.rename(doomed)
        shutil.rmtree(doomed)

    def _set_aside(self, folder: Path) -> None:
        aside = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)

    def _not_written(self, position: int, error: Exception) -> str:
        return (
            f"{self.folder}: checkpoint {position} could not be written ({_reason(error)}; "
            f"{_gb(shutil.disk_usage(self.folder).free)} free): mend that, then run the same again; it goes on at the "
            "checkpoint before"
        )

    # ---- The bucket

    def _remote_positions(self) -> list[int]:
        if self._bucket is None:
            return []
        try:
            names = self._bucket.complete_folders()
        except BucketError as error:
            raise UserError(
                f"{self._bucket.url}: {error}: training does not start without the checkpoints that may be there; see "
                "that the bucket exists and that this machine may read and write it, or set train.checkpoint_root to "
                "null"
            ) from None
        return [int(match[1]) for name in names if (match := self._name.fullmatch(name))]

    def _download(self, position: int) -> Checkpoint | None:
        assert self._bucket is not None
        target = self._folder_of(position)
        partial = self.folder / f".{position}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            self._bucket.download(target.name, partial)
            problem = damage(partial)
        except BucketError as error:
            problem = str(error)
        if problem is not None:
            shutil.rmtree(partial, ignore_errors=True)
            _warn(f"checkpoint {self._bucket.url}/{target.name}: {problem}; looking for another")
            return None
        partial.rename(target)
        return Checkpoint(position, target)

    def _copy_to_bucket(self, bucket: Bucket) -> None:
        """Makes the bucket hold the local checkpoints that it lacks, oldest first, and of all the newest `kept`."""
        there = set(bucket.complete_folders())
        for _, folder in sorted(self._local()):
            if folder.name not in there:
                bucket.upload(folder)
        positions = {name: int(match[1]) for name in there if (match := self._name.fullmatch(name))}
        positions |= {folder.name: position for position, folder in self._local()}
        for name in sorted(positions, key=lambda name: positions[name], reverse=True)[self._kept :]:
            bucket.remove(name)

    def _finish_upload(self) -> None:
        """A bucket that is lost in mid-run costs a warning: the checkpoints are on this machine, and are copied when
        the next one is."""
        upload, self._upload = self._upload, None
        try:
            if upload is not None:
                self._copied = False
                upload.result()
                self._copied = True
        except BucketError as error:
            assert self._bucket is not None
            _warn(f"{self._bucket.url}: {error}: the newest checkpoint is in {self.folder} only")


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint, in words, or None: every file is compared with the manifest's sha256."""
    try:
        read_manifest(folder / MANIFEST_NAME, verify_hashes=True)
    except UserError as error:
        return str(error).partition(";")[0]
    except (KeyError, TypeError, AttributeError):
        return f"{MANIFEST_NAME} is not a manifest"
    return None


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)


def _reason(error: Exception) -> str:
    """The system's words; tensorstore puts those at the end of a line with several paths."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0].rpartition(": ")[2]


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"
