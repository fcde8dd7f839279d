"""Compares the extrapolation from few layers with a compile of all layers; stops unless they agree within 2 %."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.plan.predictions import Records, choice_cost, read_records
from scripts.plan.roofline import StepCost

TOLERANCE = 0.02
QUANTITIES = ("arguments_gib", "temporaries_gib", "peak_gib", "flops", "memory_traffic_bytes", "wire_bytes")


@dataclass(frozen=True)
class CheckSettings:
    """Quantities whose error stops the run when it is above the tolerance; the others are reported only."""

    required: tuple[str, ...]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of CheckSettings")
    parser.add_argument("--compiled", type=Path, required=True, help="compiled points with few layers")
    parser.add_argument("--whole", type=Path, required=True, help="compiled points with all layers")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


def comparisons(few: Records, whole: Records) -> list[dict[str, Any]]:
    """A row for each quantity of each step compiled with all layers and, at the same row length, with few."""
    rows: list[dict[str, Any]] = []
    for point, record in whole.items():
        extrapolated = choice_cost(few, point.choice, point.layers).by_length.get(point.row_len)
        if extrapolated is None or not record["compiled"]:
            continue
        compiled = StepCost.from_record(record["compiled"])
        for name in QUANTITIES:
            found, real = getattr(extrapolated, name), getattr(compiled, name)
            rows.append(
                {
                    "remat": point.choice.remat,
                    "layers": point.layers,
                    "quantity": name,
                    "extrapolated": found,
                    "compiled": real,
                    "relative_error": found / real - 1,
                    "compile_sec": record["compiled"]["compile_sec"],
                    "compiler_host_memory_gib": record["compiled"]["host_memory_bytes"] / 2**30,
                }
            )
    return rows


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(CheckSettings, args.settings)
    rows = comparisons(read_records(read_json(args.compiled)), read_records(read_json(args.whole)))
    if not rows:
        raise UserError(f"{args.whole}: no step in common with {args.compiled}")
    for row in rows:
        print(
            f"remat {row['remat']:8} {row['quantity']:22} {row['extrapolated']:.5g} extrapolated, "
            f"{row['compiled']:.5g} compiled with {row['layers']} layers: {row['relative_error']:+.2%}"
        )
    wrong = [row for row in rows if row["quantity"] in settings.required and abs(row["relative_error"]) > TOLERANCE]
    if wrong:
        names = ", ".join(f"{row['quantity']} (remat {row['remat']}) {row['relative_error']:+.1%}" for row in wrong)
        raise UserError(f"the extrapolation is more than {TOLERANCE:.0%} off: {names}; set plan.layers_compiled higher")
    write_json(args.output, {"rows": rows, "provenance": provenance("scripts.plan.check", asdict(settings))})


if __name__ == "__main__":
    main()
