"""Whether what is to be written will fit, asked before anything is downloaded."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.common.errors import UserError


def require_free(folder: Path, need_bytes: int, remedy: str) -> None:
    """Raises UserError, which ends in `remedy`, unless the disk of `folder` has room for so many bytes."""
    free_bytes = shutil.disk_usage(existing(folder)).free
    if need_bytes > free_bytes:
        need, free = f"{need_bytes / 1e9:.2f} GB", f"{free_bytes / 1e9:.2f} GB"
        raise UserError(f"{folder}: {need} are to be written, {free} are free: free some space there, or {remedy}")


def on_same_disk(one: Path, other: Path) -> bool:
    """Whether files can be linked from one folder to the other, rather than copied."""
    return existing(one).stat().st_dev == existing(other).stat().st_dev


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
