"""The plan as text: Markdown tables in which every figure says whether it was compiled or predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from scripts.plan.choices import PlanSettings
from scripts.plan.meshes import mesh_text


def plan_text(plan: dict[str, Any], settings: PlanSettings) -> str:
    """plan.md."""
    sections = [
        f"# Plan for {plan['slice']}",
        "Memory, FLOPs and bytes are *compiled*: the TPU compiler's, "
        + " and ".join(
            f"at {few} and {more} layers (remat {remat})" for remat, (few, more) in plan["layers_compiled"].items()
        )
        + f", extrapolated to {plan['layers']} unless all were compiled. "
        "Hours and dollars are *predicted*: a roofline on the vendor's peaks (limit), and the same at the efficiency "
        "that a published run implies (calibrated).",
        _meshes(plan),
        _compiled(plan),
        _without_remat(plan),
        _runs(plan, settings),
        _recommendation(plan),
        _scale_out(plan, settings),
    ]
    return "\n\n".join(sections) + "\n"


def _table(rows: Sequence[Sequence[Any]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _mark(row: dict[str, Any]) -> str:
    return "" if row["windowed_einsum"] else "†"


def _windowed_einsum(rows: Sequence[dict[str, Any]]) -> str:
    """The note to the mark of rows that were not compiled with XLA's default."""
    if all(row["windowed_einsum"] for row in rows):
        return ""
    return (
        " † Compiled without windowed einsum, whose loops XLA does not count: FLOPs and bytes of the same "
        "multiplications; the memory of XLA's default, which training runs, may differ."
    )


def _meshes(plan: dict[str, Any]) -> str:
    rows = [[mesh_text(**row["mesh"]), "; ".join(row["problems"]) or "valid"] for row in plan["meshes"]]
    return f"## Meshes (fsdp, tp)\n\n{_table(rows, ['mesh', 'verdict'])}"


def _choice(row: dict[str, Any]) -> list[str]:
    return [
        mesh_text(**row["mesh"]), str(row["micro_batch_size"]), row["remat"], row["lora_targets"], row["cross_entropy"],
    ]  # fmt: skip


def _compiled(plan: dict[str, Any]) -> str:
    headers = [
        "", "mesh", "rows a shard", "remat", "LoRA", "cross-entropy", "layers", "arguments [GiB]", "temporaries [GiB]",
        "peak / capacity [GiB]", "fits", "FLOPs", "memory traffic [GB]", "on the wire [GB]", "bound",
        "limit [ms], predicted", "compile [s]", "compiler's memory [GiB]",
    ]  # fmt: skip
    rows = []
    for name, row in [("reference", plan["reference"]), *(("", choice) for choice in plan["choices"])]:
        cost, times = row["compiled"], row["predicted_roofline"]
        if cost is None:
            rows.append([name, *_choice(row), row["refused"] or "not compiled", *[""] * 11])
            continue
        rows.append(
            [
                name, *_choice(row),
                ("all" if row["compiled_with_all_layers"] else "extrapolated") + _mark(row),
                f"{cost['arguments_gib']:.2f}", f"{cost['temporaries_gib']:.2f}",
                f"{cost['peak_gib']:.1f} / {row['capacity_gib']}", "yes" if row["fits"] else "no",
                f"{cost['flops']:.3e}", f"{cost['memory_traffic_bytes'] / 1e9:.0f}", f"{cost['wire_bytes'] / 1e9:.1f}",
                times["bound"], f"{times['limit_sec'] * 1e3:.0f}",
                f"{row['compile_sec']:.0f}", f"{row['compiler_host_memory_gib']:.1f}",
            ]
        )  # fmt: skip
    accumulated = plan["reference"]["compiled"]["accumulated_gradients_gib"]
    note = (
        f"One chip, one micro-batch of rows of the longest length; compiled but for the limit. Of the arguments "
        f"{accumulated:.2f} GiB are accumulated gradients, in float32.{_windowed_einsum(plan['choices'])}"
    )
    return f"## The step, compiled\n\n{_table(rows, headers)}\n\n{note}\n\n{_collectives(plan)}"


def _collectives(plan: dict[str, Any]) -> str:
    rows = [
        [
            name, mesh_text(**row["mesh"]), row["remat"], row["cross_entropy"], entry["kind"], str(entry["group_size"]),
            f"{entry['count']:.0f}", f"{entry['tensor_bytes'] / 1e9:.2f}", f"{entry['wire_bytes'] / 1e9:.2f}",
        ]
        for name, row in [("reference", plan["reference"]), *(("", choice) for choice in plan["choices"])]
        for entry in row["collectives"]
    ]  # fmt: skip
    headers = [
        "", "mesh", "remat", "cross-entropy", "collective", "chips", "times", "tensors [GB]", "on the wire [GB]",
    ]  # fmt: skip
    return _table(rows, headers)


def _without_remat(plan: dict[str, Any]) -> str:
    """The paper states that the step cannot fit without rematerialisation; what the compiler found."""
    free = [row for row in plan["choices"] if row["remat"] == "none" and row["compiled"]]
    if not free:
        return "Without rematerialisation: not compiled."
    lines = []
    for row in free:
        verdict = "fits" if row["fits"] else "does not fit"
        ratio = _flops_a_row(plan["reference"]) / _flops_a_row(row)
        lines.append(
            f"Without rematerialisation the step {verdict} on mesh {mesh_text(**row['mesh'])}, cross-entropy "
            f"{row['cross_entropy']}: {row['compiled']['peak_gib']:.1f} of {row['capacity_gib']} GiB a chip "
            f"(compiled); the reference does {ratio:.2f} times its FLOPs a row."
        )
    return "\n".join(lines)


def _flops_a_row(row: dict[str, Any]) -> float:
    """FLOPs of all chips for one row: a chip's, of the rows of its data shard, times the tp chips that share them."""
    return float(row["compiled"]["flops"]) * int(row["mesh"]["tp"]) / int(row["micro_batch_size"])


def _hours(run: dict[str, Any]) -> str:
    return f"{run['limit_hours']:.2f} to {run['calibrated_hours']:.2f}"


def _usd(low: float | None, high: float | None) -> str:
    return "unknown" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _runs(plan: dict[str, Any], settings: PlanSettings) -> str:
    reference = plan["reference"]
    headers = [
        "", "mesh", "rows a shard", "remat", "LoRA", "cross-entropy", "rows", "micro-batches", "padded tokens [M]",
        "hours, predicted", "USD, predicted", "times faster, predicted",
    ]  # fmt: skip
    rows = []
    for name, run in [("reference", reference), *(("", run) for run in plan["runs"])]:
        predicted = run["predicted"]
        speedup = run.get("predicted_speedup", 1.0)
        rows.append(
            [
                name, *_choice(run), run["batching"], str(predicted["micro_batches"]),
                f"{predicted['padded_tokens'] / 1e6:.2f}", _hours(predicted),
                _usd(predicted["limit_usd"], predicted["calibrated_usd"]), f"{speedup:.2f}",
            ]
        )  # fmt: skip
    measured = all(run["row_lengths_measured"] for run in plan["runs"])
    lengths = settings.lengths
    source = (
        "Row lengths: measured by the data stage."
        if measured
        else f"Row lengths: assumed, a log-normal with mean {lengths.mean_tokens:.0f} and 99th percentile "
        f"{lengths.p99_tokens:.0f} tokens, cut at {lengths.max_tokens}; not measured."
    )
    note = (
        f"{settings.samples} samples, {settings.samples_per_step} a step, {settings.epochs} epoch(s). Ranges: limit to "
        f"calibrated. The reference was published at {reference['published_sec_per_sample']} s a sample "
        f"({reference['source']}), an efficiency of {reference['implied_efficiency']:.1%} of the limit. {source}"
    )
    return f"## The run, predicted\n\n{_table(rows, headers)}\n\n{note}"


def _recommendation(plan: dict[str, Any]) -> str:
    best = plan["recommended"]
    if best is None:
        return "## Recommendation\n\nNone of the alternatives fits."
    rows = [
        [row["change"], f"{row['predicted_limit_hours']:.2f}", f"{row['predicted_factor']:.2f}"]
        for row in plan["contributions"]
    ]
    summary = (
        f"Mesh {mesh_text(**best['mesh'])}, {best['micro_batch_size']} row(s) a shard, remat {best['remat']}, "
        f"cross-entropy {best['cross_entropy']}, rows {best['batching']}: {_hours(best['predicted'])} h predicted, "
        f"{best['predicted_speedup']:.2f} times faster than the reference: same samples, steps, loss."
    )
    headers = ["change", "hours at the limit, predicted", "times faster, predicted"]
    return f"## Recommendation\n\n{summary}\n\n{_table(rows, headers)}"


def _scale_out(plan: dict[str, Any], settings: PlanSettings) -> str:
    headers = [
        "slice", "chips", "hosts", "(fsdp, tp)", "remat", "peak / capacity [GiB]", "fits",
        "compute, memory, collectives [ms], predicted", "bound", "hours, same step", "USD",
        "samples a step, scaled", "hours, scaled step", "USD", f"hours, {settings.full_rows} rows", "USD",
    ]  # fmt: skip
    rows = []
    for row in plan["scale_out"]:
        start = [
            row["slice"] + _mark(row),
            str(row["chips"]),
            str(row["hosts"]),
            mesh_text(row["fsdp"], row["tp"]),
            row["remat"],
        ]
        if row["problem"]:
            rows.append([*start, row["problem"], *[""] * 10])
            continue
        times = [row[f"predicted_{name}_sec"] * 1e3 for name in ("compute", "memory", "collective")]
        same, scaled = row["same_step"], row["scaled_step"]
        rows.append(
            [
                *start, f"{row['peak_gib']:.1f} / {row['capacity_gib']}", "yes" if row["fits"] else "no",
                ", ".join(f"{value:.0f}" for value in times), row["bound"],
                _hours(same), _usd(same["limit_usd"], same["calibrated_usd"]),
                str(scaled["samples_per_step"]), _hours(scaled), _usd(scaled["limit_usd"], scaled["calibrated_usd"]),
                f"{scaled['full_limit_hours']:.2f} to {scaled['full_calibrated_hours']:.2f}",
                "unknown" if scaled["full_calibrated_usd"] is None else f"up to {scaled['full_calibrated_usd']:.2f}",
            ]
        )  # fmt: skip
    first = {
        generation: next(
            (
                r["slice"]
                for r in plan["scale_out"]
                if r["slice"].startswith(generation) and r.get("bound") == "collectives"
            ),
            None,
        )
        for generation in ("v5p", "v6e")
    }
    said = [f"{g}: {f'from {name} on' if name else 'on none of these slices'}" for g, name in first.items()]
    note = (
        "Packed rows of the longest length. Hours and dollars are predicted, limit to calibrated; prices are the list "
        "price a chip, times chips. *Same step* keeps the samples of an optimizer step: chips beyond its rows idle. "
        "*Scaled* multiplies them by fsdp: fewer, larger steps, which is another training run. "
        f"Collectives bound the step at the limit for {'; for '.join(said)}.{_windowed_einsum(plan['scale_out'])}"
    )
    return f"## Larger slices, predicted\n\n{_table(rows, headers)}\n\n{note}"
