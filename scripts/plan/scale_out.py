"""The same step on larger slices: predicted time, cost and memory, and where collectives take over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.common.gemma4_shapes import Gemma4Shapes
from scripts.common.slices import parse_slice
from scripts.plan.choices import PlanSettings, scale_out_choices
from scripts.plan.meshes import judge
from scripts.plan.points import StepChoice
from scripts.plan.predictions import Records, SliceHardware, choice_cost, run_counts, slice_hardware
from scripts.plan.roofline import StepCost, predict_run, roofline


def scale_out_rows(
    settings: PlanSettings,
    shapes: Gemma4Shapes,
    records: Records,
    hardware: Mapping[str, Mapping[str, Any]],
    efficiency: float,
) -> list[dict[str, Any]]:
    """A row a slice, for packed rows of the longest length.

    Two runs each: with the configured samples a step, of which more chips than rows cannot make use, and with as many
    samples more a step as there are data shards, which is fewer and larger optimizer steps: another training run.
    """
    rows = []
    for choice, _ in scale_out_choices(settings):
        device_slice = parse_slice(choice.slice_name)
        chip = slice_hardware(hardware, choice.slice_name)
        scaled_step = settings.samples_per_step * choice.mesh.fsdp
        problems = judge(shapes, choice.mesh, device_slice.chips, scaled_step, choice.micro_batch_size).problems
        cost = choice_cost(records, choice, shapes.layers)
        row: dict[str, Any] = {
            "slice": choice.slice_name,
            "chips": device_slice.chips,
            "hosts": device_slice.hosts,
            "fsdp": choice.mesh.fsdp,
            "tp": choice.mesh.tp,
            "remat": choice.remat,
            "windowed_einsum": cost.windowed_einsum,
            "problem": "; ".join(problems) or cost.refused,
            "usd_per_hour": chip.usd_per_hour,
            "capacity_gib": chip.entry["hbm_gib"],
        }
        if row["problem"] is None:
            row |= _figures(
                settings, cost.by_length[settings.max_seq_len_tokens], choice, chip, efficiency, scaled_step
            )
        rows.append(row)
    return rows


def _figures(
    settings: PlanSettings,
    at_longest: StepCost,
    choice: StepChoice,
    chip: SliceHardware,
    efficiency: float,
    scaled_step: int,
) -> dict[str, Any]:
    """Memory and times of one slice. Every row is counted at the longest length, which is the only one compiled for
    every slice: packing fills most rows of it."""
    times = roofline(at_longest, chip.peaks)
    figures: dict[str, Any] = {
        "peak_gib": at_longest.peak_gib,
        "fits": at_longest.peak_gib <= chip.entry["hbm_gib"],
        "predicted_compute_sec": times.compute_sec,
        "predicted_memory_sec": times.memory_sec,
        "predicted_collective_sec": times.collective_sec,
        "bound": times.bound,
    }
    for name, samples_per_step in (("same_step", settings.samples_per_step), ("scaled_step", scaled_step)):
        counts, _ = run_counts(settings, "pack", choice.rows, None, samples_per_step)
        longest = {settings.max_seq_len_tokens: sum(counts.values())}
        run = predict_run(
            {settings.max_seq_len_tokens: at_longest}, longest, choice.rows, chip.peaks, efficiency, chip.usd_per_hour
        )
        whole = settings.full_rows / settings.sampled_rows
        figures[name] = {
            "samples_per_step": samples_per_step,
            "limit_hours": run.limit_hours,
            "calibrated_hours": run.calibrated_hours,
            "limit_usd": run.limit_usd,
            "calibrated_usd": run.calibrated_usd,
            "full_limit_hours": run.limit_hours * whole,
            "full_calibrated_hours": run.calibrated_hours * whole,
            "full_calibrated_usd": None if run.calibrated_usd is None else run.calibrated_usd * whole,
        }
    return figures
