"""Writes every table as CSV (raw values), Markdown, LaTeX and a page of HTML: hardware, training, evaluation and its
statistics, inference, cost per million tokens and total cost of ownership, a column an arm."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import read_json, write_text
from scripts.common.settings import parse_settings
from scripts.report.arm_table import Settings
from scripts.report.contents import all_tables
from scripts.report.cost_tables import cost_tables
from scripts.report.evaluation_tables import evaluation_tables
from scripts.report.results import add_result_arguments, load_results
from scripts.report.table import to_csv, to_html, to_latex, to_markdown

WRITERS = {"csv": to_csv, "md": to_markdown, "tex": to_latex, "html": to_html}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="arms, baseline and hardware entries as JSON")
    add_result_arguments(parser)
    parser.add_argument("--costs", type=Path, required=True, help="costs.json")
    parser.add_argument("--comparisons", type=Path, required=True, help="comparisons.json")
    parser.add_argument("--published-evaluation", type=Path, required=True, help="published_evaluation.json")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for NAME.csv, .md, .tex and .html")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    results = load_results(args, settings.arms)
    of_evaluation = evaluation_tables(
        results, read_json(args.comparisons), read_json(args.published_evaluation), settings
    )
    costs = read_json(args.costs)
    of_costs = cost_tables(results, costs, settings)
    for table in [*all_tables(results, costs, settings), *of_evaluation, *of_costs]:
        for suffix, writer in WRITERS.items():
            write_text(args.output_dir / f"{table.name}.{suffix}", writer(table))


if __name__ == "__main__":
    main()
