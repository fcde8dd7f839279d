"""Puts the base model's files in one folder, with a manifest of their sizes and hashes, its commit and licence.

A local folder is linked file by file (copied across file systems); a Hugging Face id is fetched, at the commit that the
revision stands for; a folder of a bucket is fetched by fsspec. A killed download goes on where it was.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import MANIFEST_NAME, disk_errors_in_one_line, replace_files, write_manifest
from scripts.common.settings import parse_settings
from scripts.data.disk import on_same_disk, require_free

# What serving and training read; a hub repository may hold more (images, other formats, folders).
FILE_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True)
class BaseModelSettings:
    """Where the model comes from; see `model` in config.yaml."""

    source: str
    revision: str | None
    staging_dir: str | None = None


@dataclass(frozen=True)
class Model:
    """A model's files by name and, of a Hugging Face model, its commit and licence."""

    files: dict[str, Path]
    commit: str | None = None
    licence: str | None = None


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of BaseModelSettings")
    parser.add_argument(
        "--output", type=Path, required=True, help="manifest.json to write; the model replaces the files beside it"
    )
    parser.add_argument(
        "--retry-wait-sec", type=float, default=1.0, help="wait before the first retry of the network; then it doubles"
    )
    return parser.parse_args(argv)


def model_files(source: str, names: Iterable[str]) -> list[str]:
    """The names that belong to the model, of those in the folder or the repository `source`."""
    chosen = [
        name
        for name in sorted(names)
        if "/" not in name and name != MANIFEST_NAME and any(fnmatchcase(name, pattern) for pattern in FILE_PATTERNS)
    ]
    if not any(name.endswith(".safetensors") for name in chosen):
        raise UserError(f"model.source: {source} holds no .safetensors file")
    return chosen


def default_staging() -> Path:
    """Beside the hub's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME, "buckets")


def find_model(settings: BaseModelSettings, folder: Path, retry_wait_sec: float) -> Model:
    """The files of the local folder that the settings name, or those fetched from the hub, meant for `folder`."""
    source = settings.source
    local = Path(source)
    if local.is_dir():
        names = model_files(source, (path.name for path in local.iterdir() if path.is_file()))
        total_bytes = sum((local / name).stat().st_size for name in names)
        if not on_same_disk(local, folder):
            require_free(folder, total_bytes, "put the model on the same disk, so that files are linked, not copied")
        return Model({name: local / name for name in names})
    if "://" in source:
        from scripts.data.bucket_model import stage

        staging = Path(settings.staging_dir) if settings.staging_dir else default_staging()
        return Model(stage(source, lambda names: model_files(source, names), staging, folder))
    if source.startswith((".", "/")) or source.count("/") != 1:
        raise UserError(
            f"model.source: {source} is neither a folder nor a Hugging Face id (owner/name), nor in a bucket (gs://...)"
        )
    if settings.staging_dir:
        # The hub's client reads this when it is imported, below.
        os.environ["HF_HUB_CACHE"] = str(Path(settings.staging_dir, "hub").resolve())
    # Loaded only where it is needed: half a second.
    from scripts.data.hub import fetch
    from scripts.data.hub_errors import Repo, Retries

    repo = Repo("model", source, settings.revision, "model.source")
    retries = Retries(first_wait_sec=retry_wait_sec)
    fetched = fetch(repo, lambda names: model_files(source, names), folder, retries)
    return Model(fetched.files, fetched.commit, fetched.licence)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(BaseModelSettings, args.settings)
    folder = args.output.parent
    model = find_model(settings, folder, args.retry_wait_sec)
    replace_files(folder, model.files)
    with disk_errors_in_one_line(folder):
        write_manifest(
            folder,
            {
                "source": settings.source,
                "revision": settings.revision,
                "commit": model.commit,
                "licence": model.licence,
            },
        )


if __name__ == "__main__":
    main()
