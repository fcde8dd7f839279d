"""Takes the adapter of one step out of those that training published: the newest, a given one, or the best held out."""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scripts.common.errors import UserError, entry_point
from scripts.common.files import MANIFEST_NAME, read_jsonl, read_manifest, write_manifest
from scripts.common.settings import parse_settings


@dataclass(frozen=True)
class ChoiceSettings:
    """See `merge.step` in config.yaml."""

    step: int | Literal["newest", "best"]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of ChoiceSettings")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapters that training published")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics.jsonl of the training run")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write; the adapter goes beside it")
    return parser.parse_args(argv)


def published_steps(manifest: dict[str, Any]) -> dict[int, str]:
    """Optimizer step -> folder below the manifest's. Without `steps` there is one, the last, in the folder itself."""
    steps = manifest.get("steps") or {str(manifest["step"]): "."}
    return {int(step): folder for step, folder in steps.items()}


def choose(steps: dict[int, str], wanted: int | str, metrics: Path) -> int:
    """The step of `steps` that `wanted` means. Raises UserError when there is none."""
    published = ", ".join(map(str, sorted(steps)))
    if wanted == "newest":
        return max(steps)
    if wanted != "best":
        if wanted not in steps:
            raise UserError(
                f"merge.step: found {wanted}, training published the adapters of steps {published} (every "
                "train.checkpoint_interval_steps, the newest train.checkpoints_kept)"
            )
        return int(wanted)
    losses = {row["step"]: row["held_out_loss"] for row in read_jsonl(metrics) if row.get("held_out_loss") is not None}
    # A run that has diverged has losses that are no number.
    known = {step: losses[step] for step in steps if step in losses and math.isfinite(losses[step])}
    if not known:
        raise UserError(f"merge.step: found best, {metrics} has no held-out loss of a published step ({published})")
    return min(known, key=lambda step: (known[step], step))


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(ChoiceSettings, args.settings)
    manifest = read_manifest(args.adapter, verify_hashes=True)
    steps = published_steps(manifest)
    step = choose(steps, settings.step, args.metrics)
    source, target = args.adapter.parent / steps[step], args.output.parent
    shutil.rmtree(target, ignore_errors=True)
    # The newest lies in the folder itself, beside those of the other steps.
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST_NAME, *steps.values()))
    kept = {key: value for key, value in manifest.items() if key not in ("files", "steps")}
    write_manifest(target, {**kept, "step": step})


if __name__ == "__main__":
    main()
