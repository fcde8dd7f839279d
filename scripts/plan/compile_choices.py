"""Compiles every point that a part of the plan needs, one after the other, and collects what the compiler says.

Each point is kept in the state folder under a fingerprint of the point, the model, the code and the compiler's
version: a plan that was killed goes on with the next point, and a changed price compiles nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from scripts.common.code_hash import code_hash
from scripts.common.errors import UserError, entry_point
from scripts.common.files import file_lock, fingerprint, read_json, write_json
from scripts.common.gemma4_shapes import gemma4_shapes
from scripts.common.processes import die_with_parent
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.plan.choices import PlanSettings, check_points, points_of_plan, points_of_scale_out
from scripts.plan.compile_step import COMPILER_PACKAGES, require_libtpu
from scripts.plan.points import CompilePoint

STEP_MODULE = "scripts.plan.compile_step"


@dataclass(frozen=True)
class CompileSettings:
    """Which points: those of the plan's tables, of the table of slices, or of the check with all layers."""

    part: Literal["plan", "scale_out", "check"]
    plan: PlanSettings


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of CompileSettings")
    parser.add_argument("--model-config", type=Path, required=True, help="the model's config.json")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder of compiled points, kept between tries")
    parser.add_argument("--output", type=Path, required=True, help="JSON of all points")
    return parser.parse_args(argv)


def compiled_record(point: CompilePoint, model_config: Path, state: Path) -> dict[str, Any]:
    """The record of one point, from the state folder or compiled now in a process of its own."""
    identity = {
        "point": asdict(point),
        "model": read_json(model_config),
        "code": code_hash(STEP_MODULE),
        "versions": {name: importlib.metadata.version(name) for name in COMPILER_PACKAGES},
    }
    path = state / f"{fingerprint(identity)}.json"
    if not path.exists():
        command = [
            sys.executable, "-m", STEP_MODULE, "--settings", json.dumps(asdict(point)),
            "--model-config", str(model_config), "--output", str(path),
        ]  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, preexec_fn=die_with_parent)
        if result.returncode:
            log = path.with_suffix(".log")
            log.write_text(result.stderr)
            raise UserError(f"{said_by(result)} (all of it: {log})")
    return read_json(path)


def said_by(result: subprocess.CompletedProcess[str]) -> str:
    """The line that a failed compile ended with: its own message, or the compiler's last."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    last = own or lines or ["no message"]
    return last[-1] if result.returncode > 0 else f"the compiler was ended by signal {-result.returncode}: {last[-1]}"


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(CompileSettings, args.settings)
    shapes = gemma4_shapes(read_json(args.model_config))
    require_libtpu()
    if settings.part == "scale_out":
        points = points_of_scale_out(settings.plan)
    else:
        points = (points_of_plan if settings.part == "plan" else check_points)(settings.plan, shapes)
    args.state_dir.mkdir(parents=True, exist_ok=True)
    records = []
    with file_lock(args.state_dir / "lock"):
        for point in tqdm(points, desc="compile", unit="step"):
            records.append(compiled_record(point, args.model_config, args.state_dir))
    packages = (*COMPILER_PACKAGES, "flax", "google-tunix", "qwix", "optax")
    write_json(
        args.output,
        {"points": records, "provenance": provenance("scripts.plan.compile_choices", asdict(settings), packages)},
    )


if __name__ == "__main__":
    main()
