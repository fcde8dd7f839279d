"""Writes costs.json: what training an arm cost, what its output tokens and solved problems cost, training and serving
together, where arms break even, and what all of it depends on."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, read_jsonl, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.common.units import quantity
from scripts.cost.breakdown import Evaluation, Measured, arm_costs
from scripts.cost.comparison import break_evens, sensitivity
from scripts.cost.settings import ArmHardware, Settings
from scripts.cost.workload import TrainingRun


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="prices, cases and arms as JSON")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run.json of each trained arm and seed")
    parser.add_argument("--benches", nargs="+", type=Path, required=True, help="bench.json of each arm")
    parser.add_argument("--scores", nargs="+", type=Path, required=True, help="scores of each arm and seed")
    parser.add_argument(
        "--samples", nargs="+", type=Path, required=True, help="the samples of each score, in its order"
    )
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


def read_evaluations(scores: Sequence[Path], samples: Sequence[Path]) -> dict[str, list[Evaluation]]:
    """By arm, from each score and the samples that it judges."""
    evaluations: dict[str, list[Evaluation]] = {}
    for score_path, samples_path in zip(scores, samples, strict=True):
        score = read_json(score_path)
        tokens = sum(row["completion_tokens"] for row in read_jsonl(samples_path))
        entry = Evaluation(score["seed"], quantity(tokens, "token"), score["problems_solved"])
        evaluations.setdefault(score["arm"], []).append(entry)
    return evaluations


def measured_arm(
    arm: ArmHardware,
    runs: Sequence[dict[str, Any]],
    benches: dict[str, dict[str, Any]],
    evaluations: dict[str, list[Evaluation]],
    checkpoint_interval_steps: int,
) -> Measured:
    """One arm's results. Raises UserError naming the arm whose results are missing."""
    for flag, found in (("--benches", benches), ("--scores", evaluations)):
        if arm.name not in found:
            raise UserError(f"arm {arm.name}: none of the files of {flag} is of this arm")
    own = [TrainingRun.from_record(run, checkpoint_interval_steps) for run in runs if run["arm"] == arm.name]
    return Measured(arm, tuple(own), benches[arm.name], tuple(evaluations[arm.name]))


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    runs = [read_json(path) for path in args.runs]
    benches = {bench["arm"]: bench for bench in map(read_json, args.benches)}
    evaluations = read_evaluations(args.scores, args.samples)
    steps = settings.checkpoint_interval_steps
    arms = [measured_arm(arm, runs, benches, evaluations, steps) for arm in settings.arms]
    write_json(
        args.output,
        {
            "prices": {name: dataclasses.asdict(price) for name, price in settings.prices.items()},
            "spot_prices": {name: price and dataclasses.asdict(price) for name, price in settings.spot_prices.items()},
            "arms": {measured.arm.name: arm_costs(measured, settings) for measured in arms},
            "break_even": break_evens(arms, settings),
            "sensitivity": sensitivity(arms, settings),
            "provenance": provenance("scripts.cost.cost", json.loads(args.settings)),
        },
    )


if __name__ == "__main__":
    main()
