"""Checks an archive against the hashes inside it: `python -m scripts.archive.verify archive.tar.gz`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.archive.bundle import verify_bundle
from scripts.common.errors import entry_point


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    print(f"{args.archive}: {verify_bundle(args.archive)} files are as they were packed")


if __name__ == "__main__":
    main()
