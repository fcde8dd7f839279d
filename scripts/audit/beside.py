"""Writes our run's numbers beside the published ones: beside.json, beside.md and beside.html."""

from __future__ import annotations

import argparse
import dataclasses
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.audit.ours import ArmResults, Beside, beside, planned_lines, result_quantities, settings_quantities
from scripts.audit.published import Published, load_published
from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, write_json, write_text
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.common.units import quantity, shown

PAPER_ARM = {"tunix": "tpu", "trl": "gpu"}  # which of the paper's arms a training backend belongs to
NOTES = (
    "mini: measured on a CPU or on another model, where settings have a ratio, which says how much smaller the run is, "
    "and results have none.",
    "planned: predicted from what the TPU compiler made of the paper's model, not measured.",
    "measured: the paper's model on accelerators; ours / published.",
    "a context beside ours: a miniature's own, as short among its contexts as the paper's is among the paper's.",
    "a dash: not measured at this context or rate, or not comparable at this scale.",
)


@dataclass(frozen=True)
class Arm:
    """A trained arm: its backend, and the kinds of hardware that it trains and serves on."""

    name: str
    train_backend: str
    hardware_kinds: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """The run: its model, its trained arms, and the parts of its configuration that have published counterparts."""

    model_source: str
    arms: tuple[Arm, ...]
    config: dict[str, dict[str, Any]]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="model, arms and settings of the run as JSON")
    parser.add_argument("--published", type=Path, required=True, help="published.yaml, beside the files that it names")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run.json of each trained arm and seed")
    parser.add_argument("--benches", nargs="*", type=Path, default=[], help="bench.json of each arm")
    parser.add_argument("--scores", nargs="*", type=Path, default=[], help="scores of each arm and seed")
    parser.add_argument("--costs", type=Path, help="costs.json")
    parser.add_argument("--plan", type=Path, help="plan.json, where there is one")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file; Markdown and HTML go beside it")
    return parser.parse_args(argv)


def measured_lines(args: argparse.Namespace, settings: Settings, published: Published) -> list[Beside]:
    """Lines of every trained arm, a quantity's arms one below the other."""
    if args.costs is None:
        return []
    costs = read_json(args.costs)["arms"]
    files = {kind: [read_json(path) for path in getattr(args, kind)] for kind in ("runs", "benches", "scores")}
    paper_model = published.claims["served_model"].printed
    arms = {}
    for arm in settings.arms:
        if arm.train_backend not in PAPER_ARM:
            raise UserError(f"arm {arm.name}: no arm of the paper was trained by {arm.train_backend!r}")
        own = {kind: [entry for entry in entries if entry["arm"] == arm.name] for kind, entries in files.items()}
        if missing := [kind for kind, entries in own.items() if not entries]:
            raise UserError(f"arm {arm.name}: none of the files of --{missing[0]} is of this arm")
        at_scale = settings.model_source == paper_model and "cpu" not in arm.hardware_kinds
        results = ArmResults(own["runs"], own["scores"], own["benches"][0], costs[arm.name], settings.config, at_scale)
        arms[arm.name] = (PAPER_ARM[arm.train_backend], results)
    quantities = [*settings_quantities(), *result_quantities(published)]
    return [beside(published, row, paper_arm, results) for row in quantities for paper_arm, results in arms.values()]


def grid(lines: Sequence[Beside], form: str) -> str:
    """The table, as Markdown (`pipe`) or HTML."""
    rows = [
        [
            entry.section,
            entry.label,
            entry.arm.upper(),
            shown(quantity(entry.published, entry.unit)),
            "–" if entry.ours is None else shown(quantity(entry.ours, entry.unit)),
            f"{entry.mark}, {entry.note}" if entry.note else entry.mark,
            "–" if entry.ratio is None else f"{entry.ratio:.3g}",
        ]
        for entry in lines
    ]
    head = ["", "quantity", "the paper's arm", "published", "ours", "ours is", "ours / published"]
    return tabulate(rows, head, tablefmt=form, disable_numparse=True)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    published = load_published(args.published)
    lines = measured_lines(args, settings, published)
    lines += planned_lines(published, read_json(args.plan)) if args.plan else []
    title = f"Ours beside “{published.header.title}”"
    notes = "\n".join(f"- {note}" for note in NOTES)
    write_text(args.output.with_suffix(".md"), f"# {title}\n\n{grid(lines, 'pipe')}\n\n{notes}\n")
    items = "".join(f"<li>{html.escape(note)}</li>" for note in NOTES)
    write_text(
        args.output.with_suffix(".html"),
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        "<style>body{font:14px/1.45 sans-serif;margin:1.5em;color:#222}table{border-collapse:collapse}"
        "th,td{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:left}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{grid(lines, 'html')}\n<ul>{items}</ul></body></html>\n",
    )
    origin = provenance("scripts.audit.beside", json.loads(args.settings))
    write_json(args.output, {"lines": [dataclasses.asdict(entry) for entry in lines], "provenance": origin})


if __name__ == "__main__":
    main()
