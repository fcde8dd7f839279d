"""The figures, drawn from the results: colour-blind-safe, arms told apart by colour, marker and line style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scripts.report.results import cell_at, context_label, contexts_of, rates_of

# Okabe and Ito's palette, its yellow last since it is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2)))
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    # Fixed identifiers inside the SVG, so that equal data is an equal file.
    "svg.hashsalt": "figures",
}
PANELS_A_ROW = 3
PROBLEMS_A_PANEL = 52


@dataclass(frozen=True)
class Series:
    """How one arm is drawn, by its position among all arms: the same in every figure."""

    name: str
    label: str
    position: int

    @property
    def style(self) -> dict[str, Any]:
        place = self.position % len(COLOURS)
        return {"color": COLOURS[place], "linestyle": LINES[place]}

    @property
    def marker(self) -> str:
        return MARKERS[self.position % len(MARKERS)]


def lengths_figure(report: dict[str, Any]) -> Figure:
    """Rows by their length in tokens, over-long ones too, and where they are cut off."""
    counts, width = report["length_histogram"]["rows"], report["length_histogram"]["bin_tokens"]
    longest = report["provenance"]["settings"]["max_seq_len_tokens"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 3.4))
        axes = figure.add_subplot()
        axes.bar(np.arange(len(counts)) * width, counts, width, align="edge", color=COLOURS[0])
        axes.axvline(longest, color=COLOURS[1], linestyle="--", label=f"max_seq_len_tokens, {longest:,}")
        summary = report["length_tokens"]["rendered"]
        axes.set_title(f"mean {summary['mean']:,.0f}, median {summary['p50']:,}, p99 {summary['p99']:,} tokens")
        axes.set_xlabel("length of a row [tokens]")
        axes.set_ylabel("rows")
        axes.set_xlim(left=0)
        axes.grid(True, axis="y")
        axes.legend()
    return figure


def loss_figure(series: Sequence[Series], losses: dict[str, list[tuple[list[int], list[float]]]]) -> Figure:
    """Training loss against the optimizer step: each seed as measured (faint) and smoothed, by arm name."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 4.2))
        axes = figure.add_subplot()
        for arm in series:
            for number, (steps, values) in enumerate(losses[arm.name]):
                axes.plot(steps, values, color=arm.style["color"], alpha=0.22, linewidth=0.8)
                label = arm.label if number == 0 else None
                axes.plot(steps, smoothed(values), linewidth=1.5, label=label, **arm.style)
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("training loss [nats/token]")
        axes.set_ylim(bottom=0)
        axes.grid(True)
        if series:
            axes.legend(title="smoothed; faint: as measured", title_fontsize="small")
        else:
            axes.text(0.5, 0.5, "no arm is trained", ha="center", va="center", transform=axes.transAxes)
    return figure


def smoothed(values: Sequence[float]) -> list[float]:
    """Exponential moving average, with a weight of 2 / (window + 1) on the newest and a window of 1/20 of the run.

    Starts from the first value; as long as `values`.
    """
    weight = 2.0 / (max(1.0, len(values) / 20) + 1.0)
    average = list(values[:1])
    for value in values[1:]:
        average.append(average[-1] + weight * (value - average[-1]))
    return average


def rate_figure(
    series: Sequence[Series],
    benches: dict[str, dict[str, Any]],
    quantity: Callable[[dict[str, Any]], float | None],
    axis_label: str,
    log_scale: bool,
) -> Figure:
    """A quantity of the server against the request rate, a panel a context.

    The panels share a logarithmic scale; a linear one is each panel's own, since contexts differ by orders.
    """
    contexts, rates = contexts_of(benches), rates_of(benches)
    columns = min(PANELS_A_ROW, len(contexts))
    rows = math.ceil(len(contexts) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.1 * columns, 0.7 + 2.9 * rows))
        grid = figure.subplots(rows, columns, sharey=log_scale, squeeze=False)
        panels = list(grid.flat)
        for axes, context in zip(panels, contexts, strict=False):
            for arm in series:
                cells = [cell_at(benches[arm.name], context, rate) for rate in rates]
                values = [quantity(cell) if cell else None for cell in cells]
                heights = [math.nan if value is None else value for value in values]
                axes.plot(range(len(rates)), heights, marker=arm.marker, markersize=5, label=arm.label, **arm.style)
            axes.set_title(f"{context_label(context)} tokens")
            axes.set_xticks(range(len(rates)), ["∞" if rate == "inf" else f"{rate:g}" for rate in rates])
            axes.set_xlabel("request rate [requests/s]; ∞: all at once" if columns * rows <= 2 else "requests/s")
            if log_scale:
                axes.set_yscale("log")
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
                axes.yaxis.set_minor_formatter(NullFormatter())
            else:
                axes.set_ylim(bottom=0)
            axes.grid(True)
        if log_scale:
            drawn = [y for axes in panels for line in axes.get_lines() for y in line.get_ydata() if y > 0]
            panels[0].set_ylim(*log_limits(drawn))
        for axes in panels[len(contexts) :]:
            axes.set_axis_off()
        for line in grid:
            line[0].set_ylabel(axis_label)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 3))
    return figure


def log_limits(values: Sequence[float]) -> tuple[float, float]:
    """The nearest of ..., 1, 2, 5, 10, ... at or below and at or above all `values`; both are ticks."""
    if not values:
        return 1.0, 10.0
    # One decade more on each side than needed, since log10 rounds.
    exponents = range(math.floor(math.log10(min(values))) - 1, math.ceil(math.log10(max(values))) + 2)
    ticks = [digit * 10.0**exponent for exponent in exponents for digit in (1, 2, 5)]
    lower = max(tick for tick in ticks if tick <= min(values))
    return lower, min(tick for tick in ticks if tick >= max(values) and tick > lower)


def pass_at_1_figure(series: Sequence[Series], by_problem: dict[str, dict[str, float]]) -> Figure:
    """pass@1 of each problem (row) and arm (column) as a heat map in blocks of rows; grey where not measured.

    `by_problem` maps an arm's name to its problems' pass@1, averaged over seeds.
    """
    problems = sorted({problem for scores in by_problem.values() for problem in scores})
    blocks = max(1, math.ceil(len(problems) / PROBLEMS_A_PANEL))
    block_rows = math.ceil(len(problems) / blocks)
    values = np.array([[by_problem[arm.name].get(problem, np.nan) for arm in series] for problem in problems])
    with mpl.rc_context({**STYLE, "axes.spines.bottom": False, "axes.spines.left": False}):
        figure = Figure(figsize=(1.0 + blocks * (2.2 + 0.32 * len(series)), 1.6 + 0.17 * block_rows))
        panels = list(figure.subplots(1, blocks, squeeze=False).flat)
        colours = mpl.colormaps["YlGnBu"].with_extremes(bad="#BBBBBB")
        for number, axes in enumerate(panels):
            block = slice(number * block_rows, (number + 1) * block_rows)
            # Rows below the last problem stay empty, so that rows of all blocks are equally high.
            mesh = axes.pcolormesh(
                np.ma.masked_invalid(values[block]), cmap=colours, vmin=0, vmax=1, edgecolor="white", linewidth=0.6
            )
            axes.set_ylim(block_rows, 0)
            _label_heat_map(axes, problems[block], series)
        bar = figure.colorbar(mesh, ax=panels, location="bottom", aspect=40, shrink=0.6, pad=0.02)
        bar.set_label("pass@1: share of samples that pass")
    return figure


def _label_heat_map(axes: Axes, problems: Sequence[str], series: Sequence[Series]) -> None:
    axes.set_yticks(np.arange(len(problems)) + 0.5, problems, fontsize=6.5)
    axes.set_xticks(np.arange(len(series)) + 0.5, [arm.label for arm in series], rotation=45, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
