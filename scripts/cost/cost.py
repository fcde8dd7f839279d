"""Writes costs.json: what training an arm cost, what its output tokens cost, and both together over serving times.

The only step, with the tables that follow it, that knows a price.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.cost.breakdown import Settings, arm_costs


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--settings", required=True, help="prices, serving times and arms as JSON")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run.json of each trained arm and seed")
    parser.add_argument("--benches", nargs="+", type=Path, required=True, help="bench.json of each arm")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    runs = [read_json(path) for path in args.runs]
    benches = {bench["arm"]: bench for bench in map(read_json, args.benches)}
    arms = {}
    for arm in settings.arms:
        if arm.name not in benches:
            raise UserError(f"arm {arm.name}: none of the files of --benches is of this arm")
        arms[arm.name] = arm_costs(arm, [run for run in runs if run["arm"] == arm.name], benches[arm.name], settings)
    write_json(
        args.output,
        {
            "prices": {name: dataclasses.asdict(price) for name, price in settings.prices.items()},
            "arms": arms,
            "provenance": provenance("scripts.cost.cost", json.loads(args.settings)),
        },
    )


if __name__ == "__main__":
    main()
