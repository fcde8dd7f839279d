"""Compares the merged model in transformers with the model as trained, with PEFT on the exported adapter, and with the
base; stops above the tolerance.

A merge that changed nothing, or something else, is a known way to serve the wrong model without an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_manifest, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.merge.probe import (
    Difference,
    Dtype,
    Probe,
    Tolerance,
    compare_logits,
    next_tokens,
    read_probe,
    save_next_tokens,
)

PACKAGES = ("torch", "transformers", "peft")


@dataclass(frozen=True)
class CheckSettings:
    """See `merge_check` in config.yaml."""

    arm: str
    seed: int
    dtypes: tuple[Dtype, ...]
    prompts: int
    tolerances: dict[str, Tolerance]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of CheckSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--merged-model", type=Path, required=True, help="manifest of the merged model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapter in PEFT's format")
    parser.add_argument("--trained-logits", type=Path, required=True, help="npz of the model as trained")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write: the differences")
    parser.add_argument("--next-tokens", type=Path, required=True, help="npz to write: what servers must answer")
    return parser.parse_args(argv)


def judge(differences: dict[str, Difference], tolerance: Tolerance) -> str | None:
    """Why the merged model must not be served, or None when it may. `differences` are the merged model's, by what it is
    compared with: all of them must be small but the base's."""
    for other, difference in differences.items():
        if other != "base" and (problem := tolerance.exceeded_by(difference)):
            return f"the merged model is not the {other} model: of their logits {problem} (merge_check.tolerances)"
    if differences["base"].max_abs <= tolerance.max_abs:
        return (
            f"the merged model's logits are the base's (largest difference {differences['base'].max_abs:.3g}): the "
            "adapter was not applied, or training changed nothing"
        )
    return None


def logits_of_forms(args: argparse.Namespace, dtype: Dtype, probe: Probe) -> dict[str, np.ndarray]:
    """Logits of the forms that transformers runs: the base, the base with the adapter in PEFT, the merged model; and in
    float32 the merged model with its changed weights rounded to bfloat16."""
    from scripts.common.hf_gemma4 import load_model
    from scripts.merge.hf_models import adapted_modules, load_with_adapter, probe_logits, round_weights

    model = load_model(args.base_model.parent, dtype)
    logits = {"base": probe_logits(model, probe)}
    model = load_with_adapter(model, args.adapter.parent)
    modules = adapted_modules(model)
    logits["adapter"] = probe_logits(model, probe)
    del model  # two at once may not fit
    model = load_model(args.merged_model.parent, dtype)
    logits["merged"] = probe_logits(model, probe)
    if dtype == "float32":
        round_weights(model, modules)
        logits["rounded"] = probe_logits(model, probe)
    return logits


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(CheckSettings, args.settings)
    read_manifest(args.base_model)
    read_manifest(args.adapter, verify_hashes=True)
    read_manifest(args.merged_model, verify_hashes=True)
    probe = read_probe(args.tokens, settings.prompts)
    results: dict[str, Any] = {}
    answers = {}
    for dtype in settings.dtypes:
        logits = logits_of_forms(args, dtype, probe)
        with np.load(args.trained_logits) as trained:
            logits["trained"] = trained[dtype]
        try:
            differences = {
                other: compare_logits(logits["merged"], logits[other]) for other in ("trained", "adapter", "base")
            }
            rounding = compare_logits(logits["rounded"], logits["adapter"]) if "rounded" in logits else None
        except ValueError as error:
            raise UserError(f"{args.merged_model.parent}: {error}") from None
        if problem := judge(differences, settings.tolerances[dtype]):
            raise UserError(f"arm {settings.arm}, seed {settings.seed}, {dtype}: {problem}")
        results[dtype] = {f"merged_against_{other}": asdict(difference) for other, difference in differences.items()}
        results[dtype]["bfloat16_rounding_of_merge"] = asdict(rounding) if rounding else None
        answers[dtype] = next_tokens(logits["merged"], probe)
    save_next_tokens(args.next_tokens, answers)
    write_json(
        args.output,
        {
            "arm": settings.arm,
            "seed": settings.seed,
            "rows": len(probe.rows),
            "positions_per_row": probe.positions,
            "tolerances": {dtype: asdict(settings.tolerances[dtype]) for dtype in settings.dtypes},
            "differences": results,
            "provenance": provenance("scripts.merge.check_merge", asdict(settings), PACKAGES),
        },
    )


if __name__ == "__main__":
    main()
