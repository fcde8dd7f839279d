"""The figure of the table of slices."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, ScalarFormatter

from scripts.common.files import write_text

# Okabe and Ito's palette.
GENERATIONS = {"v5p": ("#0072B2", "o"), "v6e": ("#D55E00", "s")}
RESOURCES = {"predicted_compute_sec": "-", "predicted_memory_sec": "--", "predicted_collective_sec": ":"}


def scale_out_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """Predicted hours against chips, with the step's samples kept and scaled; and each resource's time of one
    micro-batch, whose crossing is where collectives take over. Hollow: compiled without windowed einsum."""
    with mpl.rc_context({"svg.hashsalt": "plan", "legend.frameon": False, "figure.constrained_layout.use": True}):
        figure = Figure(figsize=(10, 5))
        hours, times = figure.subplots(1, 2)
        for generation in GENERATIONS:
            mine = [row for row in rows if row["slice"].startswith(generation) and row["problem"] is None]
            for name, line in (("same_step", "-"), ("scaled_step", "--")):
                label = f"{generation}, {'same step' if name == 'same_step' else 'step scaled with chips'}"
                _draw(hours, generation, mine, [row[name]["calibrated_hours"] for row in mine], label, line)
            for key, line in RESOURCES.items():
                label = f"{generation}, {key.removeprefix('predicted_').removesuffix('_sec')}"
                _draw(times, generation, mine, [row[key] * 1e3 for row in mine], label, line)
        hours.set(xlabel="chips", ylabel="hours, predicted (calibrated)", title="One run")
        times.set(xlabel="chips", ylabel="ms a micro-batch at peak, predicted", title="Each resource alone")
        for axes in (hours, times):
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.grid(color="#DDDDDD")
            axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
        if any(row["problem"] is None and not row["windowed_einsum"] for row in rows):
            figure.supxlabel("hollow: compiled without windowed einsum", fontsize=8)
    return figure


def _draw(
    axes: Axes, generation: str, rows: Sequence[dict[str, Any]], values: Sequence[float], label: str, line: str
) -> None:
    colour, marker = GENERATIONS[generation]
    chips = [row["chips"] for row in rows]
    axes.plot(chips, values, label=label, color=colour, marker=marker, linestyle=line)
    hollow = [i for i, row in enumerate(rows) if not row["windowed_einsum"]]
    style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "", "markerfacecolor": "white"}
    axes.plot([chips[i] for i in hollow], [values[i] for i in hollow], **style)


def write_svg(figure: Figure, path: Path) -> None:
    """Equal data is an equal file: without a date and with fixed identifiers."""
    with mpl.rc_context({"svg.hashsalt": "plan"}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_text(path, buffer.getvalue())
