"""Compares the merged model in transformers with the model as trained, and with the base; stops above the tolerance.

A merge that changed nothing, or something else, is a known way to serve the wrong model without an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_manifest, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.merge.probe import LogitDifference, compare_logits, read_probe

PACKAGES = ("torch", "transformers", "peft")


@dataclass(frozen=True)
class CheckSettings:
    """See `merge_check` in config.yaml."""

    arm: str
    seed: int
    dtype: str
    prompts: int
    max_abs_logit_difference: float


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of CheckSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--merged-model", type=Path, required=True, help="manifest of the merged model")
    parser.add_argument("--trained-logits", type=Path, required=True, help="npy of the model as trained")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write: the differences")
    return parser.parse_args(argv)


def judge(against_trained: LogitDifference, against_base: LogitDifference, tolerance: float) -> str | None:
    """Why the merged model must not be served, or None when it may."""
    if against_trained.max_abs > tolerance:
        return (
            f"the merged model's logits differ from the trained model's by up to {against_trained.max_abs:.3g}, "
            f"more than merge_check.max_abs_logit_difference {tolerance:g}"
        )
    if against_base.max_abs <= tolerance:
        return (
            f"the merged model's logits are the base's (largest difference {against_base.max_abs:.3g}): the adapter "
            "was not applied, or training changed nothing"
        )
    return None


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(CheckSettings, args.settings)
    from scripts.common.hf_gemma4 import load_model
    from scripts.merge.hf_models import probe_logits

    read_manifest(args.base_model)
    read_manifest(args.merged_model, verify_hashes=True)
    probe = read_probe(args.tokens, settings.prompts)
    merged = probe_logits(load_model(args.merged_model.parent, settings.dtype), probe)
    base = probe_logits(load_model(args.base_model.parent, settings.dtype), probe)
    try:
        against_trained = compare_logits(merged, np.load(args.trained_logits))
        against_base = compare_logits(merged, base)
    except ValueError as error:
        raise UserError(f"{args.merged_model.parent}: {error}") from None
    problem = judge(against_trained, against_base, settings.max_abs_logit_difference)
    if problem:
        raise UserError(f"arm {settings.arm}, seed {settings.seed}: {problem}")
    write_json(
        args.output,
        {
            "arm": settings.arm,
            "seed": settings.seed,
            "rows": len(probe.rows),
            "positions_per_row": probe.positions,
            "tolerance_max_abs": settings.max_abs_logit_difference,
            "merged_against_trained": asdict(against_trained),
            "merged_against_base": asdict(against_base),
            "provenance": provenance("scripts.merge.check_merge", asdict(settings), PACKAGES),
        },
    )


if __name__ == "__main__":
    main()
