"""Puts the base model's files in one folder, with a manifest of their sizes and hashes.

A local folder is linked file by file (copied across file systems); a Hugging Face id is fetched through the hub's
client, which resumes a broken download.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import write_manifest
from scripts.common.settings import parse_settings

# What serving and training read; a hub repository may hold more (images, other formats).
FILE_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True)
class BaseModelSettings:
    """Where the model comes from; see `model` in config.yaml."""

    source: str
    revision: str | None


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of BaseModelSettings")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write; the files go beside it")
    return parser.parse_args(argv)


def link_or_copy(source: Path, target: Path) -> None:
    """`target` with the content of `source`: a hard link where the file system allows one."""
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def link_folder(source: Path, target: Path) -> None:
    files = [path for path in sorted(source.iterdir()) if any(path.match(pattern) for pattern in FILE_PATTERNS)]
    if not any(path.suffix == ".safetensors" for path in files):
        raise UserError(f"model.source: {source} holds no .safetensors file")
    for path in files:
        link_or_copy(path.resolve(), target / path.name)


def fetch(source: str, revision: str | None, target: Path) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        huggingface_hub.snapshot_download(
            source, revision=revision, local_dir=target, allow_patterns=list(FILE_PATTERNS)
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            f"model.source: cannot fetch {source} ({type(error).__name__}): check the network, HF_TOKEN and free disk "
            "space, or set model.source to a downloaded folder"
        ) from None


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(BaseModelSettings, args.settings)
    folder = args.output.parent
    folder.mkdir(parents=True, exist_ok=True)
    local = Path(settings.source)
    if local.is_dir():
        link_folder(local, folder)
    elif settings.source.startswith((".", "/")) or settings.source.count("/") != 1:
        raise UserError(f"model.source: {settings.source} is neither a folder nor a Hugging Face id (owner/name)")
    else:
        fetch(settings.source, settings.revision, folder)
    write_manifest(folder, {"source": settings.source, "revision": settings.revision})


if __name__ == "__main__":
    main()
