"""The figures of costs: lines that meet where break_even says, a bar an assumption, and what is unknown left out."""

from __future__ import annotations

import json
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest

from scripts.cost import cost
from scripts.report import cost_figures
from scripts.report.cost_plots import tornado_figure, total_cost_figure
from scripts.report.plots import Series
from tests.unit import synthetic_run

SERIES = [Series(arm["name"], arm["label"], position) for position, arm in enumerate(synthetic_run.ARMS)]


def costs_of(folder: Path, **settings: Any) -> dict[str, Any]:
    flags = synthetic_run.result_flags(synthetic_run.write_run(folder), samples=True)
    changed = {**synthetic_run.cost_settings(), **settings}
    cost.main(["--settings", json.dumps(changed), *flags, "--output", str(folder / "costs.json")])
    costs: dict[str, Any] = json.loads((folder / "costs.json").read_text())
    return costs


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return costs_of(tmp_path_factory.mktemp("run"), output_tokens_millions=[0.05, 0.2])


def test_both_are_svg_that_say_what_was_measured_and_at_which_price(tmp_path: Path) -> None:
    costs_of(tmp_path)
    settings = json.dumps(synthetic_run.table_settings())
    flags = ["--settings", settings, "--costs", str(tmp_path / "costs.json")]
    for name in ("first", "second"):
        cost_figures.main([*flags, "--output-dir", str(tmp_path / name)])
    for figure in ("total_cost.svg", "tornado.svg"):
        text = (tmp_path / "first" / figure).read_text()
        assert xml.etree.ElementTree.fromstring(text).tag.endswith("svg")
        assert text == (tmp_path / "second" / figure).read_text()


def test_crosses_lie_where_arms_break_even(costs: dict[str, Any]) -> None:
    figure = total_cost_figure(SERIES, costs, "a machine (1 USD/h on demand)")
    assert "Measured on a machine (1 USD/h on demand)" in figure.get_suptitle()
    hours, shortest, *_ = figure.axes
    point = next(e for e in costs["break_even"] if e["arms"] == ["base", "tpu"] and e["input_tokens"] == 64)
    crosses = {tuple(line.get_xydata()[0]) for line in shortest.get_lines() if line.get_marker() == "x"}
    assert {x for x, _ in crosses} == {point["output_tokens_millions"]}
    totals = [y for _, y in crosses]
    assert max(totals) == pytest.approx(min(totals))
    assert not [line for line in hours.get_lines() if line.get_marker() == "x" and len(line.get_xdata())]


def test_lines_go_through_the_cases_of_the_table(costs: dict[str, Any]) -> None:
    hours = total_cost_figure(SERIES, costs, "").axes[0]
    points = next(line for line in hours.get_lines() if line.get_label() == "TRL (PyTorch)")
    found = [(x, pytest.approx(y)) for x, y in points.get_xydata()]
    assert found == [(row["serving_hours"], row["usd"]["mean"]) for row in costs["arms"]["gpu"]["tco"]["by_hours"]]


def test_a_tornado_has_its_widest_bar_on_top(costs: dict[str, Any]) -> None:
    panel = tornado_figure(SERIES, costs, "").axes[2]
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels[-1].startswith("Utilisation")
    widths = [abs(bar.get_width()) for bar in panel.patches]
    reach = [sum(widths[2 * i : 2 * i + 2]) for i in range(3)]
    assert reach[1:] == sorted(reach[1:])


def test_what_is_unknown_has_no_bar_and_no_line(tmp_path: Path) -> None:
    costs = costs_of(tmp_path, spot_prices={"laptop": None})
    costs["sensitivity"]["arms"]["base"] = None
    for row in costs["arms"]["base"]["tco"]["by_tokens"]:
        row |= {"serving_hours": None, "usd": None}
    untuned, tuned, _ = tornado_figure(SERIES, costs, "").axes
    assert [text.get_text() for text in untuned.texts] == ["no sustained throughput"]
    assert len(tuned.get_yticklabels()) == 2
    shortest = total_cost_figure(SERIES, costs, "").axes[1]
    drawn = next(line for line in shortest.get_lines() if line.get_label() == "base (untuned)")
    assert len(drawn.get_xdata()) == 0
