"""Writes summary.md: what ran, every table and figure, what is not comparable, and where each number comes from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, write_text
from scripts.common.settings import parse_settings
from scripts.report.arm_table import Settings
from scripts.report.overview import summary_text
from scripts.report.results import add_result_arguments, load_results


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="arms, baseline and hardware entries as JSON")
    add_result_arguments(parser)
    parser.add_argument("--costs", type=Path, required=True, help="costs.json")
    parser.add_argument("--config", type=Path, required=True, help="the resolved configuration")
    parser.add_argument("--tables", nargs="+", type=Path, required=True, help="tables as Markdown, in order")
    parser.add_argument("--figures", nargs="+", type=Path, required=True, help="figures as SVG, in order")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


def provenance_of(path: Path) -> dict[str, Any]:
    """The provenance block of a result file; UserError where it has none."""
    block = read_json(path).get("provenance")
    if not isinstance(block, dict):
        raise UserError(f"{path}: no provenance block; delete the file so that its step runs again")
    return block


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    folder = args.output.parent
    text = summary_text(
        read_json(args.config),
        settings,
        load_results(args, settings.arms),
        read_json(args.costs),
        [path.read_text(encoding="utf-8") for path in args.tables],
        [path.relative_to(folder).as_posix() for path in args.figures],
        [
            (path.relative_to(folder).as_posix(), provenance_of(path))
            for path in [*args.runs, *args.benches, *args.scores, args.costs]
        ],
    )
    write_text(args.output, text)


if __name__ == "__main__":
    main()
