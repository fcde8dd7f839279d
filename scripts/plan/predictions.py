"""From compiled points to the plan's tables: what fits, how long it takes, what each choice contributes.

Memory, FLOPs and bytes were compiled (at a few sizes, the rest extrapolated); every time and cost is predicted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scripts.common.gemma4_shapes import Gemma4Shapes
from scripts.common.settings import parse_settings
from scripts.common.slices import parse_slice
from scripts.plan.choices import PlanSettings, plan_choices
from scripts.plan.lengths import BatchingMode, measured_counts, micro_batch_counts, synthetic_lengths
from scripts.plan.meshes import mesh_text
from scripts.plan.points import CompilePoint, StepChoice
from scripts.plan.roofline import (
    ChipPeaks,
    StepCost,
    extrapolate_layers,
    interpolate_row_length,
    predict_run,
    roofline,
)

Records = dict[CompilePoint, dict[str, Any]]


def read_records(payload: Mapping[str, Any]) -> Records:
    """Points of compiled_*.json by what was asked."""
    return {parse_settings(CompilePoint, json.dumps(record["point"])): record for record in payload["points"]}


@dataclass(frozen=True)
class ChoiceCost:
    """A choice with all layers of the model: its cost at each compiled row length, or why there is none.

    `compiled_whole`: the longest row was compiled with all layers, not extrapolated. `windowed_einsum`: with XLA's
    default, as training runs it.
    """

    choice: StepChoice
    by_length: dict[int, StepCost]
    compiled_whole: bool
    windowed_einsum: bool
    collectives: list[dict[str, Any]]
    refused: str | None
    compile_sec: float
    host_memory_gib: float


def choice_cost(records: Records, choice: StepChoice, layers: int) -> ChoiceCost:
    """Collects the points of a choice and extrapolates each row length to `layers` layers, unless it was compiled with
    all of them."""
    mine = {point: record for point, record in records.items() if point.choice == choice}
    refused = next((record["refused"] for record in mine.values() if record["refused"]), None)
    by_length: dict[int, dict[int, StepCost]] = {}
    for point, record in mine.items():
        if record["compiled"]:
            by_length.setdefault(point.row_len, {})[point.layers] = StepCost.from_record(record["compiled"])
    whole = {
        length: costs.get(layers) or extrapolate_layers(costs, layers)
        for length, costs in sorted(by_length.items())
        if layers in costs or len(costs) == 2
    }
    compiled = [record["compiled"] for record in mine.values() if record["compiled"]]
    uncounted = max((entry["loops_of_unknown_length"] for entry in compiled), default=0)
    if uncounted:
        refused, whole = f"not counted: up to {uncounted} loops of unknown length in one module", {}
    if len({entry["windowed_einsum"] for entry in compiled}) == 2:
        refused, whole = "not counted: some sizes with windowed einsum, some without", {}
    return ChoiceCost(
        choice,
        whole,
        any(layers in costs for costs in by_length.values()),
        all(entry["windowed_einsum"] for entry in compiled),
        _collectives({point: record for point, record in mine.items() if point.layers != layers}, layers),
        refused,
        sum(entry["compile_sec"] for entry in compiled),
        max((entry["host_memory_bytes"] for entry in compiled), default=0) / 2**30,
    )


def _collectives(records: Records, layers: int) -> list[dict[str, Any]]:
    """Collectives of a choice at its longest row by kind and group size, extrapolated like all else."""
    longest = max((point.row_len for point in records), default=0)
    costs = {
        point.layers: {(c["kind"], c["group_size"]): c for c in record["compiled"]["collectives"]}
        for point, record in records.items()
        if point.row_len == longest and record["compiled"]
    }
    if len(costs) != 2:
        return []
    (few, at_few), (more, at_more) = sorted(costs.items())
    t = (layers - few) / (more - few)

    def extrapolated(key: tuple[str, int], quantity: str) -> float:
        first, second = (float(at[key][quantity]) if key in at else 0.0 for at in (at_few, at_more))
        return max(0.0, first + t * (second - first))

    quantities = ("count", "tensor_bytes", "wire_bytes")
    return [
        {"kind": key[0], "group_size": key[1], **{name: extrapolated(key, name) for name in quantities}}
        for key in sorted(at_few.keys() | at_more.keys())
    ]


@dataclass(frozen=True)
class SliceHardware:
    """One chip of a slice, and what the slice costs: the list price a chip of the generation's entry, times chips."""

    entry: Mapping[str, Any]
    peaks: ChipPeaks
    usd_per_hour: float | None


def slice_hardware(hardware: Mapping[str, Mapping[str, Any]], slice_name: str) -> SliceHardware:
    """Of the entry `tpu-GENERATION-*` of resources/hardware.yaml, whose `price` is the one that is paid, or None."""
    device_slice = parse_slice(slice_name)
    entry = next(entry for name, entry in hardware.items() if name.startswith(f"tpu-{device_slice.generation}-"))
    usd = entry["price"] and entry["price"]["usd_per_hour"]
    return SliceHardware(
        entry,
        ChipPeaks.from_hardware(entry, device_slice.links_per_chip()),
        None if usd is None else usd / entry["chips"] * device_slice.chips,
    )


def run_counts(
    settings: PlanSettings, mode: BatchingMode, rows: int, measured: Mapping[str, Any] | None, samples_per_step: int
) -> tuple[dict[int, int], bool]:
    """Micro-batches of each row length over the whole run, and whether they were measured by the data stage."""
    counts = (
        measured_counts(measured, mode, rows) if measured and samples_per_step == settings.samples_per_step else None
    )
    found = counts is not None
    if counts is None:
        lengths = synthetic_lengths(settings.lengths, settings.samples)
        counts = micro_batch_counts(lengths, mode, samples_per_step, rows, settings.row_lengths())
    return {length: count * settings.epochs for length, count in counts.items()}, found


def published_efficiency(settings: PlanSettings, cost: ChoiceCost, peaks: ChipPeaks) -> float:
    """Roofline time / published time of one sample of the reference, whose rows hold a sample each."""
    limit = roofline(cost.by_length[settings.max_seq_len_tokens], peaks).limit_sec / cost.choice.rows
    return limit / settings.reference.sec_per_sample


def choice_row(cost: ChoiceCost, hardware: SliceHardware, max_seq_len: int) -> dict[str, Any]:
    """A row of the table of compiled figures, at the longest row."""
    capacity = hardware.entry["hbm_gib"]
    row = {**_described(cost.choice), "capacity_gib": capacity, "refused": cost.refused}
    row |= {"compiled_with_all_layers": cost.compiled_whole, "collectives": cost.collectives}
    row |= {"windowed_einsum": cost.windowed_einsum}
    row |= {"compile_sec": cost.compile_sec, "compiler_host_memory_gib": cost.host_memory_gib}
    at_longest = cost.by_length.get(max_seq_len)
    if at_longest is None:
        return {**row, "compiled": None, "fits": False, "predicted_roofline": None}
    times = roofline(at_longest, hardware.peaks)
    return {
        **row,
        "compiled": asdict(at_longest),
        "fits": at_longest.peak_gib <= capacity,
        "predicted_roofline": {**asdict(times), "limit_sec": times.limit_sec, "bound": times.bound},
    }


def run_rows(
    settings: PlanSettings,
    costs: Iterable[ChoiceCost],
    hardware: SliceHardware,
    efficiency: float,
    measured: Mapping[str, Any] | None,
    reference_hours: float | None = None,
) -> list[dict[str, Any]]:
    """A row for each choice that fits and each way of batching: the predicted run."""
    rows = []
    for cost in costs:
        at_longest = cost.by_length.get(settings.max_seq_len_tokens)
        if at_longest is None or at_longest.peak_gib > hardware.entry["hbm_gib"]:
            continue
        for mode in settings.alternatives.batching:
            counts, found = run_counts(settings, mode, cost.choice.rows, measured, settings.samples_per_step)
            run = predict_run(
                cost.by_length, counts, cost.choice.rows, hardware.peaks, efficiency, hardware.usd_per_hour
            )
            rows.append(
                {
                    **_described(cost.choice),
                    "batching": mode,
                    "row_lengths_measured": found,
                    "predicted": asdict(run),
                    "predicted_speedup": None if reference_hours is None else reference_hours / run.limit_hours,
                }
            )
    return rows


def contributions(
    settings: PlanSettings,
    shapes: Gemma4Shapes,
    records: Records,
    hardware: Mapping[str, Mapping[str, Any]],
    best: Mapping[str, Any],
    measured: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """What each change from the reference to the recommended run contributes at the limit, predicted, one after the
    other. A step in between that is no alternative of its own was not compiled, and joins the next."""
    choice, mode = settings.reference_choice(), settings.reference.batching
    target = next(c for c in plan_choices(settings, shapes) if _described(c).items() <= best.items())
    steps: list[tuple[str, StepChoice, BatchingMode]] = [("reference", choice, mode)]
    for keys in (("slice_name", "mesh", "micro_batch_size"), ("remat",), ("cross_entropy",)):
        changed = dataclasses.replace(choice, **{key: getattr(target, key) for key in keys})
        if changed != choice:
            steps.append((", ".join(_changes(choice, changed)), changed, mode))
        choice = changed
    ladder: tuple[BatchingMode, ...] = ("pad", "bucket", "pack")
    steps += [
        (f"rows: {step}", choice, step) for step in ladder[ladder.index(mode) + 1 : ladder.index(best["batching"]) + 1]
    ]
    rows: list[dict[str, Any]] = []
    labels: list[str] = []
    for label, changed, step_mode in steps:
        labels.append(label)
        cost = choice_cost(records, changed, shapes.layers)
        counts, _ = run_counts(settings, step_mode, changed.rows, measured, settings.samples_per_step)
        if len(cost.by_length) == 3 or set(counts) <= set(cost.by_length):
            peaks = slice_hardware(hardware, changed.slice_name).peaks
            hours = predict_run(cost.by_length, counts, changed.rows, peaks, 1.0, None).limit_hours
            before = rows[-1]["predicted_limit_hours"] if rows else hours
            change = ", ".join(labels)
            rows.append({"change": change, "predicted_limit_hours": hours, "predicted_factor": before / hours})
            labels = []
    return rows


def _changes(before: StepChoice, after: StepChoice) -> list[str]:
    """What differs, as `key: value`."""
    old, new = _described(before), _described(after)
    new["mesh"], old["mesh"] = mesh_text(**new["mesh"]), mesh_text(**old["mesh"])
    return [f"{key}: {value}" for key, value in new.items() if old[key] != value]


def _described(choice: StepChoice) -> dict[str, Any]:
    return {
        "slice": choice.slice_name,
        "mesh": asdict(choice.mesh),
        "micro_batch_size": choice.micro_batch_size,
        "remat": choice.remat,
        "lora_targets": choice.lora.targets,
        "cross_entropy": choice.cross_entropy,
    }


def attention_check(cost: ChoiceCost, shapes: Gemma4Shapes, tp: int, row_len: int) -> float:
    """Compiled FLOPs over those counted by hand from the shapes, without LoRA and element-wise work.

    Forward, the backward pass through activations (frozen weights have no gradient), with rematerialisation the layers
    once more: a sanity check of the compiler's count.
    """
    forward = shapes.forward_flops(row_len, logits=row_len, skips_masked=False)
    layers = shapes.forward_flops(row_len, logits=0, skips_masked=False)
    # Scores and values have two operands that need gradients each, a frozen matrix one.
    attention = shapes.attention_flops(row_len, skips_masked=False)
    total = 2 * forward + attention + (layers if cost.choice.remat == "decoder" else 0.0)
    counted = total * cost.choice.micro_batch_size / tp
    return interpolate_row_length(cost.by_length, row_len).flops / counted
