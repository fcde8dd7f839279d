"""Puts the file of training rows in a folder, with a manifest of its size, hash, commit and licence.

A local file is linked (copied across file systems); `DATASET_ID:FILE` is fetched from Hugging Face, at the commit that
the revision stands for. A killed download goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import MANIFEST_NAME, disk_errors_in_one_line, replace_files, write_manifest
from scripts.common.settings import parse_settings


@dataclass(frozen=True)
class FetchRowsSettings:
    """Where the rows come from; see `data` in config.yaml."""

    source: str
    revision: str | None


@dataclass(frozen=True)
class Rows:
    """The file of rows and, of a Hugging Face dataset, its commit and licence."""

    file: Path
    name: str
    commit: str | None = None
    licence: str | None = None


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of FetchRowsSettings")
    parser.add_argument(
        "--output", type=Path, required=True, help="manifest.json to write; the rows replace the files beside it"
    )
    parser.add_argument(
        "--retry-wait-sec", type=float, default=1.0, help="wait before the first retry of the network; then it doubles"
    )
    return parser.parse_args(argv)


def find_rows(settings: FetchRowsSettings, folder: Path, retry_wait_sec: float) -> Rows:
    """The local file that the settings name, or the one fetched from the hub, meant for `folder`."""
    local = Path(settings.source)
    if local.is_file():
        return Rows(local, local.name)
    dataset, _, name = settings.source.partition(":")
    if not name or settings.source.startswith((".", "/")):
        raise UserError(f"data.source: {settings.source} is neither a file nor DATASET_ID:FILE")
    # Loaded only where it is needed: half a second.
    from scripts.data.hub import fetch
    from scripts.data.hub_errors import Repo, Retries

    def select(names: Sequence[str]) -> list[str]:
        if name not in names:
            raise UserError(f"data.source: the dataset {dataset} has no file {name}; it has {', '.join(names[:20])}")
        return [name]

    repo = Repo("dataset", dataset, settings.revision, "data.source")
    fetched = fetch(repo, select, folder, Retries(first_wait_sec=retry_wait_sec))
    return Rows(fetched.files[name], Path(name).name, fetched.commit, fetched.licence)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(FetchRowsSettings, args.settings)
    folder = args.output.parent
    rows = find_rows(settings, folder, args.retry_wait_sec)
    if rows.name == MANIFEST_NAME:
        raise UserError(f"data.source: rows cannot be in a file called {MANIFEST_NAME}; rename it")
    replace_files(folder, {rows.name: rows.file})
    with disk_errors_in_one_line(folder):
        write_manifest(
            folder, {**asdict(settings), "commit": rows.commit, "licence": rows.licence, "rows_file": rows.name}
        )


if __name__ == "__main__":
    main()
