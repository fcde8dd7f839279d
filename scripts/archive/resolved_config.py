"""Writes the configuration as it was after all overlays and command-line changes; it can be given as --configfile."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import write_json


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="the merged configuration as JSON")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    write_json(args.output, json.loads(args.settings))


if __name__ == "__main__":
    main()
