"""Checks that the folder of problems is complete, and lists their names.

The workflow runs it only where the configured folder is missing: then it stops with what to do.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import write_text
from scripts.common.problems import read_problems


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="list of the problems' names, one a line")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    problems = read_problems(args.folder)
    write_text(args.output, "".join(f"{problem.name}\n" for problem in problems))


if __name__ == "__main__":
    main()
