"""All tables of the plan as one JSON-ready object."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import Gemma4Shapes
from scripts.common.slices import parse_slice
from scripts.plan.choices import PlanSettings, plan_choices
from scripts.plan.meshes import meshes_of
from scripts.plan.predictions import (
    Records,
    attention_check,
    choice_cost,
    choice_row,
    contributions,
    published_efficiency,
    run_counts,
    run_rows,
    slice_hardware,
)
from scripts.plan.roofline import predict_run
from scripts.plan.scale_out import scale_out_rows


@dataclass(frozen=True)
class PlanInputs:
    """`hardware` holds the TPU entries of resources/hardware.yaml, each with the price that is paid."""

    plan: PlanSettings
    hardware: dict[str, Any]


def make_plan(
    inputs: PlanInputs, shapes: Gemma4Shapes, records: Records, scale_out: Records, measured: dict[str, Any] | None
) -> dict[str, Any]:
    """Everything of plan.json but its provenance."""
    settings = inputs.plan
    chip = slice_hardware(inputs.hardware, settings.slice_name)
    reference = choice_cost(records, settings.reference_choice(), shapes.layers)
    reference_chip = slice_hardware(inputs.hardware, settings.reference.slice_name)
    if not reference.by_length:
        raise UserError(f"plan.reference: the compiler refuses it, nothing can be calibrated ({reference.refused})")
    efficiency = published_efficiency(settings, reference, reference_chip.peaks)
    counts, found = run_counts(
        settings, settings.reference.batching, reference.choice.rows, measured, settings.samples_per_step
    )
    reference_run = predict_run(
        reference.by_length,
        counts,
        reference.choice.rows,
        reference_chip.peaks,
        efficiency,
        reference_chip.usd_per_hour,
    )
    costs = [choice_cost(records, choice, shapes.layers) for choice in plan_choices(settings, shapes)]
    runs = run_rows(settings, costs, chip, efficiency, measured, reference_run.limit_hours)
    # Other LoRA targets are another model: the recommendation trains what the reference trains.
    same_loss = [run for run in runs if run["lora_targets"] == settings.reference.lora_targets]
    best = min(same_loss, key=lambda run: run["predicted"]["limit_hours"], default=None)
    chips = parse_slice(settings.slice_name).chips
    return {
        "slice": settings.slice_name,
        "layers": shapes.layers,
        "layers_compiled": {remat: list(layers) for remat, layers in settings.layers_compiled.items()},
        "parameters": shapes.parameters(),
        "meshes": [
            asdict(judged)
            for judged in meshes_of(
                shapes, chips, settings.samples_per_step, min(settings.alternatives.micro_batch_sizes)
            )
        ],
        "choices": [choice_row(cost, chip, settings.max_seq_len_tokens) for cost in costs],
        "reference": {
            **choice_row(reference, reference_chip, settings.max_seq_len_tokens),
            "batching": settings.reference.batching,
            "row_lengths_measured": found,
            "published_sec_per_sample": settings.reference.sec_per_sample,
            "source": settings.reference.source,
            "implied_efficiency": efficiency,
            "flops_over_hand_count": attention_check(
                reference, shapes, reference.choice.mesh.tp, settings.max_seq_len_tokens
            ),
            "predicted": asdict(reference_run),
        },
        "runs": runs,
        "recommended": best,
        "contributions": contributions(settings, shapes, records, inputs.hardware, best, measured) if best else [],
        "scale_out": scale_out_rows(settings, shapes, scale_out, inputs.hardware, efficiency),
    }
