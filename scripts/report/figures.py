"""Draws the figures as SVG: lengths of the training rows, training loss, output throughput and time to first token
against the request rate, and pass@1 by problem. Equal results give equal files."""

from __future__ import annotations

import argparse
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, read_jsonl, write_text
from scripts.common.settings import parse_settings
from scripts.report.plots import STYLE, Series, lengths_figure, loss_figure, pass_at_1_figure, rate_figure


@dataclass(frozen=True)
class ArmLabel:
    name: str
    label: str


@dataclass(frozen=True)
class Settings:
    """The arms in order; their results are all that the figures need besides."""

    arms: tuple[ArmLabel, ...]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="arms as JSON")
    parser.add_argument("--data", type=Path, required=True, help="report.json of the data stage")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run.json, with metrics.jsonl beside it")
    parser.add_argument("--benches", nargs="+", type=Path, required=True, help="bench.json of each arm")
    parser.add_argument("--scores", nargs="+", type=Path, required=True, help="scores of each arm and seed")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the SVG files")
    return parser.parse_args(argv)


def read_losses(run_paths: Sequence[Path]) -> dict[str, list[tuple[list[int], list[float]]]]:
    """(steps, losses) of every run, in the order of the paths, by arm."""
    losses: dict[str, list[tuple[list[int], list[float]]]] = {}
    for path in run_paths:
        rows = list(read_jsonl(path.with_name("metrics.jsonl")))
        if not rows:
            raise UserError(f"{path.with_name('metrics.jsonl')}: no row; delete it so that the training runs again")
        curve = [int(row["step"]) for row in rows], [float(row["loss"]) for row in rows]
        losses.setdefault(read_json(path)["arm"], []).append(curve)
    return losses


def pass_at_1_by_problem(scores: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Passed / samples of each problem, averaged over the seeds of an arm, by arm and problem."""
    shares: dict[str, dict[str, list[float]]] = {}
    for score in scores:
        problems = shares.setdefault(score["arm"], {})
        for problem, counts in score["by_problem"].items():
            problems.setdefault(problem, []).append(counts["passed"] / counts["samples"])
    return {
        arm: {name: statistics.fmean(values) for name, values in problems.items()} for arm, problems in shares.items()
    }


def to_svg(figure: Figure) -> str:
    """The figure as SVG without a date."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    arms = parse_settings(Settings, args.settings).arms
    series = [Series(arm.name, arm.label, position) for position, arm in enumerate(arms)]
    losses = read_losses(args.runs)
    benches = {bench["arm"]: bench for bench in map(read_json, args.benches)}
    by_problem = pass_at_1_by_problem([read_json(path) for path in args.scores])
    missing = [arm.name for arm in arms if arm.name not in benches or arm.name not in by_problem]
    if missing:
        raise UserError(f"arm {missing[0]}: no file of --benches or none of --scores is of this arm")
    figures = {
        "lengths": lengths_figure(read_json(args.data)),
        "loss": loss_figure([arm for arm in series if arm.name in losses], losses),
        "throughput": rate_figure(
            series, benches, lambda cell: cell["output_tokens_per_sec"], "output throughput [tokens/s]", False
        ),
        "ttft": rate_figure(
            series, benches, lambda cell: cell["ttft_ms"]["median"], "median time to first token [ms]", True
        ),
        "pass_at_1_by_problem": pass_at_1_figure(series, by_problem),
    }
    for name, figure in figures.items():
        write_text(args.output_dir / f"{name}.svg", to_svg(figure))


if __name__ == "__main__":
    main()
