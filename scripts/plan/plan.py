"""The plan of a training run: which meshes are valid, what fits, how long and how much, and what to do.

Memory, FLOPs and bytes are the TPU compiler's; hours and dollars are predicted, and marked so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import read_json, write_json, write_text
from scripts.common.gemma4_shapes import gemma4_shapes
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.plan.plots import scale_out_figure, write_svg
from scripts.plan.predictions import read_records
from scripts.plan.text import plan_text
from scripts.plan.whole_plan import PlanInputs, make_plan


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of PlanInputs")
    parser.add_argument("--model-config", type=Path, required=True, help="the model's config.json")
    parser.add_argument("--compiled", type=Path, required=True, help="compiled points of the plan")
    parser.add_argument("--scale-out", type=Path, required=True, help="compiled points of the table of slices")
    parser.add_argument(
        "--batching", type=Path, default=None, help="the data stage's batching.json, where there is one"
    )
    parser.add_argument("--whole", type=Path, default=None, help="points compiled with all layers, if there are any")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for plan.json, plan.md, scale_out.svg")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    inputs = parse_settings(PlanInputs, args.settings)
    shapes = gemma4_shapes(read_json(args.model_config))
    measured = read_json(args.batching) if args.batching else None
    records = read_records(read_json(args.compiled))
    if args.whole:
        records |= read_records(read_json(args.whole))
    plan = make_plan(inputs, shapes, records, read_records(read_json(args.scale_out)), measured)
    plan["provenance"] = provenance("scripts.plan.plan", asdict(inputs))
    write_svg(scale_out_figure(plan["scale_out"]), args.output_dir / "scale_out.svg")
    write_text(args.output_dir / "plan.md", plan_text(plan, inputs.plan))
    write_json(args.output_dir / "plan.json", plan)
    print(plan_text(plan, inputs.plan))


if __name__ == "__main__":
    main()
