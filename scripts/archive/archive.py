"""Packs a run into one tar.gz: results, tables, figures, raw measurements, samples, the resolved configuration, prices,
environment locks, the commit, and the sha256 of each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.archive.bundle import verify_bundle, write_bundle
from scripts.common.errors import UserError, entry_point
from scripts.common.provenance import git_commit


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", nargs="+", type=Path, required=True, help="files to pack, relative to the checkout")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    for path in args.files:
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{path}: expected a path inside the checkout, relative to it")
        if not path.is_file():
            raise UserError(f"{path}: no such file; run the step that writes it again")
    files = {path.as_posix(): path for path in args.files}
    write_bundle(args.output, files, {"COMMIT": f"{git_commit() or 'unknown'}\n"})
    print(f"{args.output}: {verify_bundle(args.output)} files")


if __name__ == "__main__":
    main()
