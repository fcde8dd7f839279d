"""The figures of costs: totals against serving hours and output tokens, and what totals depend on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from scripts.report.cost_tables import PARAMETERS, case_label, sensitivity_label
from scripts.report.plots import PANELS_A_ROW, STYLE, Series
from scripts.report.results import context_label

Costs = dict[str, Any]
LOW, HIGH = "#56B4E9", "#E69F00"
BREAK_EVEN: dict[str, Any] = {
    "marker": "x",
    "color": "black",
    "linestyle": "none",
    "markersize": 7,
    "markeredgewidth": 1.8,
    "zorder": 5,
}


def total_cost_figure(series: Sequence[Series], costs: Costs, measured_on: str) -> Figure:
    """Total cost of each arm against serving hours and, a panel a context, output tokens; a cross at each break-even.

    Lines are the model of the tables (training, then a constant price); markers are the tables' own cases.
    """
    contexts = _contexts(costs, series)
    panels = 1 + len(contexts)
    columns = min(PANELS_A_ROW, panels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.1 * columns, 1.0 + 2.9 * math.ceil(panels / columns)))
        grid = list(figure.subplots(math.ceil(panels / columns), columns, squeeze=False).flat)
        _panel(grid[0], series, costs, None)
        for axes, context in zip(grid[1:], contexts, strict=False):
            _panel(axes, series, costs, context)
        for axes in grid[panels:]:
            axes.set_axis_off()
        for axes in grid[:panels:columns]:
            axes.set_ylabel("training and serving [USD]")
        grid[0].plot([], [], label="break-even", **BREAK_EVEN)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.suptitle(f"Measured on {measured_on}; tokens: derived from the sustained throughput", fontsize=9)
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
    return figure


def _panel(axes: Axes, series: Sequence[Series], costs: Costs, context: tuple[int, int] | None) -> None:
    meetings = _break_evens(costs, series, context)
    cases = {arm.name: _cases(costs["arms"][arm.name], context) for arm in series}
    largest = max([*(amount for found in cases.values() for amount, _ in found), *meetings], default=1.0)
    for arm in series:
        amounts, totals = [list(column) for column in zip(*cases[arm.name], strict=True)] or ([], [])
        if not amounts:
            axes.plot([], [], marker=arm.marker, label=arm.label, **arm.style)
            continue
        training = _training_usd(costs["arms"][arm.name])
        slope = (totals[-1] - training) / amounts[-1]
        axes.plot([0, 1.05 * largest], [training, training + slope * 1.05 * largest], linewidth=1.3, **arm.style)
        points: dict[str, Any] = {
            "linestyle": "none",
            "marker": arm.marker,
            "markersize": 5,
            "color": arm.style["color"],
        }
        axes.plot(amounts, totals, label=arm.label, **points)
        for meeting in meetings:
            if arm.name in meetings[meeting]:
                axes.plot([meeting], [training + slope * meeting], **BREAK_EVEN)
    axes.set_title(f"{context_label(context)} tokens" if context else "a server that is paid by the hour")
    axes.set_xlabel("output tokens [millions]" if context else "serving [h]")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(True)


def _contexts(costs: Costs, series: Sequence[Series]) -> list[tuple[int, int]]:
    """Contexts at which any arm sustains a rate, shortest first."""
    rows = [row for arm in series for row in costs["arms"][arm.name]["tco"]["by_tokens"] if row["usd"]]
    return sorted({(row["input_tokens"], row["output_tokens"]) for row in rows})


def _cases(arm: Costs, context: tuple[int, int] | None) -> list[tuple[float, float]]:
    """(hours or million tokens, total in USD) of the configured cases, smallest first."""
    if context is None:
        return sorted((row["serving_hours"], row["usd"]["mean"]) for row in arm["tco"]["by_hours"])
    return sorted(
        (row["output_tokens_millions"], row["usd"]["mean"])
        for row in arm["tco"]["by_tokens"]
        if (row["input_tokens"], row["output_tokens"]) == context and row["usd"]
    )


def _training_usd(arm: Costs) -> float:
    return float(arm["training"]["cost_usd"]["mean"]) if arm["training"] else 0.0


def _break_evens(
    costs: Costs, series: Sequence[Series], context: tuple[int, int] | None
) -> dict[float, tuple[str, ...]]:
    """Where lines meet, within twice the largest case of the panel: amount to the two arms' names."""
    cases = [amount for arm in series for amount, _ in _cases(costs["arms"][arm.name], context)]
    key = "output_tokens_millions" if context else "serving_hours"
    found = [
        (row[key], tuple(row["arms"]))
        for row in costs["break_even"]
        if (row["input_tokens"] and (row["input_tokens"], row["output_tokens"])) == context and row[key] is not None
    ]
    return {amount: arms for amount, arms in found if amount <= 2 * max(cases, default=0.0)}


def tornado_figure(series: Sequence[Series], costs: Costs, measured_on: str) -> Figure:
    """How far each assumption moves an arm's total from what is configured, a panel an arm, the widest bar on top."""
    entries = {arm.name: costs["sensitivity"]["arms"][arm.name] for arm in series}
    columns = min(PANELS_A_ROW, len(series))
    rows = math.ceil(len(series) / columns)
    with mpl.rc_context({**STYLE, "axes.spines.left": False}):
        figure = Figure(figsize=(0.8 + 3.4 * columns, 1.1 + 2.3 * rows))
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, arm in zip(panels, series, strict=False):
            axes.set_title(arm.label)
            if entries[arm.name] is None:
                axes.text(0.5, 0.5, "no sustained throughput", ha="center", va="center", transform=axes.transAxes)
                axes.set_yticks([])
                continue
            _bars(axes, entries[arm.name])
        for axes in panels[len(series) :]:
            axes.set_axis_off()
        figure.suptitle(
            f"One training run and {sensitivity_label(costs)}: derived from what was measured on {measured_on}",
            fontsize=9,
        )
    return figure


def _bars(axes: Axes, entry: dict[str, Any]) -> None:
    known = [bar for bar in entry["bars"] if None not in bar["usd"]]
    reach = {bar["parameter"]: max([*bar["usd"], entry["usd"]]) - min([*bar["usd"], entry["usd"]]) for bar in known}
    known.sort(key=lambda bar: reach[bar["parameter"]])
    # Room for the labels at both ends of the widest bar.
    ends = [usd for bar in known for usd in bar["usd"]] + [entry["usd"]]
    margin = 0.28 * (max(ends) - min(ends) or entry["usd"])
    for height, bar in enumerate(known):
        for usd, value, colour in zip(bar["usd"], bar["values"], (LOW, HIGH), strict=True):
            axes.barh(height, usd - entry["usd"], left=entry["usd"], height=0.55, color=colour, alpha=0.85)
            low_side = usd < entry["usd"] or (usd == entry["usd"] and colour == LOW)
            axes.annotate(
                case_label(bar["parameter"], value).replace("interruptions", "int."),
                (usd, height),
                xytext=(-3 if low_side else 3, 8 if colour == LOW else -8),
                textcoords="offset points",
                ha="right" if low_side else "left",
                va="center",
                fontsize=6.5,
            )
    axes.axvline(entry["usd"], color="black", linewidth=1)
    names = [PARAMETERS[bar["parameter"]].replace(" of the", "\nof the") for bar in known]
    axes.set_yticks(np.arange(len(known)), names)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_xlim(min(ends) - margin, max(ends) + margin)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "" if value < 0 else f"{value:,g}"))
    axes.set_xlabel("USD; line: as configured")
    axes.grid(True, axis="x")
