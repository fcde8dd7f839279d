"""Footnotes of tables: what was measured on which hardware, at which price, over how many seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.common.spread import Spread
from scripts.report.results import Arm, Hardware, Results, context_label, rate_label
from scripts.report.table import Row


def ratio_notes(rows: Sequence[Row], arms: Sequence[Arm], baseline: str) -> list[str]:
    """How to read the ratio columns, where there are any."""
    if len(arms) < 2 or not any(row.better for row in rows):
        return []
    return [
        f"Ratios say how many times better than {baseline} an arm is: arm / {baseline} where higher is better, "
        f"{baseline} / arm where lower is better. Above 1 the arm is better, below 1 {baseline} is."
    ]


def seed_notes(rows: Sequence[Row]) -> list[str]:
    """What ± means, where a cell has it."""
    several = any(isinstance(cell, Spread) and cell.n > 1 for row in rows for cell in row.cells)
    return (
        ["Several training seeds: mean ± sample standard deviation (n seeds); no ± where all agree."] if several else []
    )


def scale_notes(verb: str, results: Results, arms: Sequence[Arm], hardware: dict[str, Hardware]) -> list[str]:
    """On which hardware entry and processor each arm was measured, and that a CPU run is a miniature.

    `verb` says which stage: Trained, Served, or Trained and served.
    """
    machines: dict[str, list[str]] = {}
    kinds: set[str] = set()
    for arm in arms:
        for role, entry in (("Trained", arm.train_hardware), ("Served", arm.serve_hardware)):
            if entry is None or role.lower() not in verb.lower():
                continue
            source = results.runs[arm.name][0] if role == "Trained" else results.benches[arm.name]
            kinds.add(hardware[entry].kind)
            names = machines.setdefault(f"{hardware[entry].label} ({machine_of(source)})", [])
            if arm.name not in names:
                names.append(arm.name)
    measured = "; ".join(f"{', '.join(names)} on {machine}" for machine, names in machines.items())
    notes = [f"Measured. {verb}: {measured}."] if measured else []
    if kinds == {"cpu"}:
        notes.append(
            "A miniature measured on a CPU: its times and costs compare software stacks at a small scale and say "
            "nothing about accelerators."
        )
    return notes


def machine_of(result: dict[str, Any]) -> str:
    """The host that a result file was measured on, from its provenance."""
    host = result["provenance"].get("host", {})
    processor, count = host.get("processor"), host.get("cpu_count")
    return f"host: {processor}, {count} CPUs" if processor else "host unknown"


def price_notes(arms: Sequence[Arm], hardware: dict[str, Hardware]) -> list[str]:
    """The price of each hardware entry that an arm uses, with its source and date."""
    used = dict.fromkeys(name for arm in arms for name in (arm.train_hardware, arm.serve_hardware) if name)
    return [
        f"Price of {entry.label}: {entry.price.usd_per_hour} USD/h {entry.price.kind.replace('_', ' ')}; "
        f"region: {entry.price.region or 'not stated'}; date: {entry.price.date or 'not stated'}; "
        f"source: {entry.price.source}."
        for entry in (hardware[name] for name in used)
    ]


def bench_notes(benches: dict[str, dict[str, Any]]) -> list[str]:
    """How many requests a cell has, and the cells in which some were not completed."""
    cells = [(arm, cell) for arm, bench in benches.items() for cell in bench["cells"]]
    prompts = sorted({cell["prompts"] for _, cell in cells})
    notes = [f"{' or '.join(map(str, prompts))} requests a context and rate."]
    notes += [
        f"Incomplete: {arm}, {context_label((cell['input_tokens'], cell['output_tokens']))}, "
        f"{rate_label(cell['request_rate_per_sec'])}: {cell['completed']} of {cell['prompts']} requests completed."
        for arm, cell in cells
        if cell["completed"] < cell["prompts"]
    ]
    return notes
