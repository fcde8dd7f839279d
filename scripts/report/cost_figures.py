"""Draws the figures of costs as SVG: totals against serving hours and output tokens, and what they depend on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import read_json, write_text
from scripts.common.settings import parse_settings
from scripts.report.arm_table import Settings
from scripts.report.cost_plots import tornado_figure, total_cost_figure
from scripts.report.figures import to_svg
from scripts.report.plots import Series


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="arms, baseline and hardware entries as JSON")
    parser.add_argument("--costs", type=Path, required=True, help="costs.json")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the SVG files")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    costs = read_json(args.costs)
    series = [Series(arm.name, arm.label, position) for position, arm in enumerate(settings.arms)]
    measured_on = " and ".join(
        f"{entry.label} ({entry.price.usd_per_hour:g} USD/h {entry.price.kind.replace('_', ' ')})"
        for entry in settings.hardware.values()
    )
    for name, figure in {
        "total_cost": total_cost_figure(series, costs, measured_on),
        "tornado": tornado_figure(series, costs, measured_on),
    }.items():
        write_text(args.output_dir / f"{name}.svg", to_svg(figure))


if __name__ == "__main__":
    main()
