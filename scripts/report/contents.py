"""The rows of each table, from the results, the costs and the hardware entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scripts.report.arm_table import Settings, arm_table
from scripts.report.cost_tables import paid_notes, training_cost
from scripts.report.notes import bench_notes, price_notes, scale_notes, seed_notes
from scripts.report.results import (
    Hardware,
    Results,
    cell_at,
    context_label,
    contexts_of,
    rate_label,
    rates_of,
)
from scripts.report.table import Cell, Row, Table


def all_tables(results: Results, costs: dict[str, Any], settings: Settings) -> list[Table]:
    """The tables of hardware, training and inference."""
    return [
        hardware_table(settings),
        training_table(results, costs, settings),
        inference_table(results, settings),
        inference_by_rate_table(results, settings),
    ]


def hardware_table(settings: Settings) -> Table:
    """What each arm trains and serves on, with the price used; what is unknown for all arms is left out."""
    quantities: list[tuple[str, str, Callable[[Hardware], Cell]]] = [
        ("Hardware", "", lambda entry: entry.label),
        ("Kind", "", lambda entry: entry.kind),
        ("Chips", "", lambda entry: entry.chips),
        ("Memory a chip", "GiB", lambda entry: entry.hbm_gib),
        ("Memory, all chips", "GiB", lambda entry: _times(entry.chips, entry.hbm_gib)),
        ("Peak bf16, all chips", "TFLOP/s", lambda entry: _times(entry.chips, entry.peak_tflops_bf16)),
        ("Memory bandwidth, all chips", "GB/s", lambda entry: _times(entry.chips, entry.memory_bandwidth_gb_per_sec)),
        ("Interconnect a chip", "GB/s", lambda entry: entry.interconnect_gb_per_sec),
        ("Price is of", "", lambda entry: entry.price.kind.replace("_", " ")),
        ("Region of the price", "", lambda entry: entry.price.region),
        ("Price", "USD/h", lambda entry: entry.price.usd_per_hour),
    ]
    rows: list[Row] = []
    for section, used in (
        ("Training", [arm.train_hardware for arm in settings.arms]),
        ("Serving", [arm.serve_hardware for arm in settings.arms]),
    ):
        entries = [settings.hardware[name] if name else None for name in used]
        for label, unit, quantity in quantities:
            cells = tuple(quantity(entry) if entry else None for entry in entries)
            if any(cell is not None for cell in cells):
                rows.append(Row(label, unit, cells, form="exact", section=section))
    rows.append(
        Row(
            "Tensor parallelism",
            "chips",
            tuple(arm.tensor_parallel_size for arm in settings.arms),
            form="exact",
            section="Serving",
        )
    )
    return arm_table("hardware", "Hardware", rows, settings, price_notes(settings.arms, settings.hardware))


def training_table(results: Results, costs: dict[str, Any], settings: Settings) -> Table:
    """Time, throughput, loss and cost of one training run; dashes for untuned arms."""

    def over_seeds(quantity: Callable[[dict[str, Any]], float | None]) -> tuple[Cell, ...]:
        return tuple(results.of_runs(arm.name, quantity) for arm in settings.arms)

    def rate(numerator: str, denominator: str) -> tuple[Cell, ...]:
        return over_seeds(lambda run: run[numerator] / run[denominator] if run[denominator] else None)

    rows = [
        Row("Backend", "", tuple(arm.train_backend for arm in settings.arms)),
        Row("Batching", "", tuple(_only(run["batching"] for run in results.runs[arm.name]) for arm in settings.arms)),
        Row("LoRA parameters", "", over_seeds(lambda run: run["lora_parameters"]), form="integer"),
        Row("Optimizer steps", "", over_seeds(lambda run: run["optimizer_steps"]), form="integer"),
        Row("Samples", "", over_seeds(lambda run: run["samples"]), form="integer"),
        Row("Real tokens", "", over_seeds(lambda run: run["real_tokens"]), form="integer"),
        Row("Padded tokens", "", over_seeds(lambda run: run["padded_tokens"]), form="integer"),
        Row("Wall-clock time", "h", over_seeds(lambda run: run["wall_clock_sec"] / 3600), "lower"),
        Row("Start and compilation", "s", over_seeds(lambda run: run["start_sec"] + run["new_shapes_sec"]), "lower"),
        *(
            row
            for section, prefix, seconds in (
                ("Whole run", "", "wall_clock_sec"),
                ("After compilation", "timed_", "timed_sec"),
            )
            for row in (
                Row(
                    "Throughput, real tokens",
                    "tokens/s",
                    rate(f"{prefix}real_tokens", seconds),
                    "higher",
                    section=section,
                ),
                Row(
                    "Throughput, padded tokens",
                    "tokens/s",
                    rate(f"{prefix}padded_tokens", seconds),
                    "higher",
                    section=section,
                ),
                Row("Time per sample", "s", rate(seconds, f"{prefix}samples"), "lower", section=section),
            )
        ),
        Row("Final loss", "nats/token", over_seeds(lambda run: run["final_loss"]), "lower", section="Result"),
        Row("Cost of one run", "USD", training_cost(costs, "cost_usd", settings), "lower", "usd", "Cost"),
        *(
            Row(f"Cost of {kind} tokens", "USD/M tokens", cells, "lower", "usd", "Cost")
            for kind in ("real", "padded")
            for cells in [training_cost(costs, f"usd_per_million_{kind}_tokens", settings)]
        ),
    ]
    notes = [
        "Whole run: the wall-clock time, start and compilation included, which is what is paid for. After compilation: "
        "without the steps that met a shape of micro-batch for the first time in their process.",
        "Final loss: mean of the last steps, as run.json has it.",
        *seed_notes(rows),
        *paid_notes(costs, settings),
        *price_notes(settings.arms, settings.hardware),
        *scale_notes("Trained", results, settings.arms, settings.hardware),
    ]
    return arm_table("training", "Training", rows, settings, notes)


def inference_table(results: Results, settings: Settings) -> Table:
    """For each context the peak throughput over the rates, and latency at the lowest, a middle and the highest rate."""
    rates = rates_of(results.benches)
    shown = list(dict.fromkeys([rates[0], rates[(len(rates) - 1) // 2], rates[-1]]))
    rows = []
    for context in contexts_of(results.benches):
        section = context_label(context)
        peaks = tuple(_peak(results.benches[arm.name], context) for arm in settings.arms)
        rows.append(Row("Peak output throughput", "tokens/s", peaks, "higher", section=section))
        rows += [row for rate in shown for row in _latency_rows(results, settings, context, rate, section)]
    notes = ["Peak: the highest of all request rates; table inference_by_rate has every rate."]
    notes += [*bench_notes(results.benches), *scale_notes("Served", results, settings.arms, settings.hardware)]
    return arm_table("inference", "Inference", rows, settings, notes)


def inference_by_rate_table(results: Results, settings: Settings) -> Table:
    """Throughput and latency of every context and request rate."""
    rows = []
    for context in contexts_of(results.benches):
        for rate in rates_of(results.benches):
            section = f"{context_label(context)}, {rate_label(rate)}"
            throughput = _of_cells(results, settings, context, rate, lambda cell: cell["output_tokens_per_sec"])
            rows.append(Row("Output throughput", "tokens/s", throughput, "higher", section=section))
            rows += _latency_rows(results, settings, context, rate, section, "")
            for name, quantile in (("ttft_ms", "p99"), ("itl_ms", "p99")):
                cells = _of_cells(results, settings, context, rate, _latency(name, quantile))
                rows.append(Row(f"P99 {name[:-3].upper()}", "ms", cells, "lower", section=section))
    notes = [*bench_notes(results.benches), *scale_notes("Served", results, settings.arms, settings.hardware)]
    return arm_table("inference_by_rate", "Inference at every request rate", rows, settings, notes)


def _times(chips: int, quantity: float | None) -> float | None:
    return None if quantity is None else chips * quantity


def _latency(name: str, statistic: str) -> Callable[[dict[str, Any]], Cell]:
    return lambda cell: cell[name][statistic]


def _latency_rows(
    results: Results,
    settings: Settings,
    context: tuple[int, int],
    rate: float | str,
    section: str,
    at: str | None = None,
) -> list[Row]:
    suffix = f", {rate_label(rate)}" if at is None else at
    return [
        Row(
            f"Median {name[:-3].upper()}{suffix}",
            "ms",
            _of_cells(results, settings, context, rate, _latency(name, "median")),
            "lower",
            section=section,
        )
        for name in ("ttft_ms", "tpot_ms")
    ]


def _of_cells(
    results: Results,
    settings: Settings,
    context: tuple[int, int],
    rate: float | str,
    quantity: Callable[[dict[str, Any]], Cell],
) -> tuple[Cell, ...]:
    cells = [cell_at(results.benches[arm.name], context, rate) for arm in settings.arms]
    return tuple(quantity(cell) if cell else None for cell in cells)


def _peak(bench: dict[str, Any], context: tuple[int, int]) -> float | None:
    values = [
        cell["output_tokens_per_sec"]
        for cell in bench["cells"]
        if (cell["input_tokens"], cell["output_tokens"]) == context and cell["output_tokens_per_sec"] is not None
    ]
    return max(values, default=None)


def _only(values: Iterable[str]) -> str | None:
    """The values, each once; None for none."""
    return ", ".join(dict.fromkeys(values)) or None
