"""Figures: complete, readable by everyone, and the same file for the same results."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from scripts.report import figures
from scripts.report.figures import pass_at_1_by_problem, to_svg
from scripts.report.plots import (
    COLOURS,
    LINES,
    MARKERS,
    PROBLEMS_A_PANEL,
    Series,
    log_limits,
    loss_figure,
    pass_at_1_figure,
    rate_figure,
    smoothed,
)
from tests.unit import synthetic_run

NAMES = ("lengths", "loss", "throughput", "ttft", "pass_at_1_by_problem")
SIX = [Series(f"arm{position}", f"Arm {position}", position) for position in range(6)]


def draw(folder: Path, output: Path) -> None:
    arms = [{"name": arm["name"], "label": arm["label"]} for arm in synthetic_run.ARMS]
    flags = [
        *synthetic_run.result_flags(folder),
        "--data",
        str(folder / "data/report.json"),
        "--output-dir",
        str(output),
    ]
    figures.main(["--settings", json.dumps({"arms": arms}), *flags])


def values_of(axes: Axes) -> np.ndarray:
    """The values of a heat map's cells: (problems, arms)."""
    values = axes.collections[0].get_array()
    assert values is not None
    return values


def test_the_same_results_give_the_same_files(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path / "run")
    draw(folder, tmp_path / "a")
    draw(folder, tmp_path / "b")
    for name in NAMES:
        text = (tmp_path / f"a/{name}.svg").read_bytes()
        assert text == (tmp_path / f"b/{name}.svg").read_bytes()
        assert xml.etree.ElementTree.fromstring(text).tag.endswith("svg")
        assert b"<dc:date>" not in text


def test_loss_shows_trained_arms_only_once_each_in_the_legend() -> None:
    curve = ([1, 2, 3], [3.0, 2.0, 1.0])
    figure = loss_figure(SIX[1:3], {"arm1": [curve, curve], "arm2": [curve]})
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["Arm 1", "Arm 2"]
    assert len(axes.get_lines()) == 2 * 3
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer step", "training loss [nats/token]")


def test_loss_without_a_trained_arm_says_so() -> None:
    (axes,) = loss_figure([], {}).axes
    assert [text.get_text() for text in axes.texts] == ["no arm is trained"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200))
def test_smoothing_keeps_length_and_stays_within_the_data(values: list[float]) -> None:
    average = smoothed(values)
    assert len(average) == len(values)
    assert average[0] == values[0]
    assert min(values) - 1e-9 <= min(average) <= max(average) <= max(values) + 1e-9


def test_each_context_is_a_panel_and_each_arm_a_line_at_every_rate() -> None:
    contexts = ((512, 256), (1024, 512), (4096, 512), (8192, 512), (15360, 512))
    rates = (1, 2, 4, 8, 16, 32, 64, "inf")
    benches = {arm.name: synthetic_run.bench_json(arm.name, contexts=contexts, rates=rates) for arm in SIX}
    figure = rate_figure(SIX, benches, lambda cell: cell["output_tokens_per_sec"], "output [tokens/s]", False)
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels][-1] == "15,360 in / 512 out tokens"
    assert len(panels) == 5
    for axes in panels:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "64", "∞"]
        assert [line.get_label() for line in axes.get_lines()] == [arm.label for arm in SIX]
    first = benches["arm0"]["cells"][0]["output_tokens_per_sec"]
    assert np.asarray(panels[0].get_lines()[0].get_ydata())[0] == first


def test_a_rate_that_was_not_measured_is_a_gap() -> None:
    benches = {"arm0": synthetic_run.bench_json("arm0"), "arm1": synthetic_run.bench_json("arm1", rates=(2, "inf"))}
    figure = rate_figure(SIX[:2], benches, lambda cell: cell["ttft_ms"]["median"], "TTFT [ms]", True)
    heights = np.asarray(figure.axes[0].get_lines()[1].get_ydata())
    assert np.isnan(heights).tolist() == [False, True, False]


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20))
def test_log_limits_enclose_the_data_in_round_numbers(values: list[float]) -> None:
    lower, upper = log_limits(values)
    assert lower <= min(values) <= max(values) <= upper
    assert lower < upper
    for limit in (lower, upper):
        digit = limit / 10 ** math.floor(math.log10(limit) + 1e-9)
        assert round(digit, 6) in (1, 2, 5)


def test_six_arms_and_156_problems_have_a_cell_each() -> None:
    scores = [synthetic_run.score_json(arm.name, 0, problems=156) for arm in SIX]
    figure = pass_at_1_figure(SIX, pass_at_1_by_problem(scores))
    panels = figure.axes[:-1]
    labels = [label.get_text() for axes in panels for label in axes.get_yticklabels()]
    assert labels == [f"Prob{number:03}_task_{number}" for number in range(1, 157)]
    assert len(panels) == math.ceil(156 / PROBLEMS_A_PANEL)
    assert sum(values_of(axes).size for axes in panels) == 6 * 156
    assert len(to_svg(figure)) < 1_000_000


def test_a_problem_that_an_arm_was_not_given_is_masked() -> None:
    figure = pass_at_1_figure(SIX[:2], {"arm0": {"Prob001": 0.5, "Prob002": 1.0}, "arm1": {"Prob001": 0.0}})
    assert np.ma.getmaskarray(values_of(figure.axes[0])).tolist() == [[False, False], [False, True]]


def test_pass_at_1_is_averaged_over_seeds() -> None:
    scores = [
        {"arm": "a", "by_problem": {"P": {"passed": passed, "samples": 5}}, "seed": seed}
        for seed, passed in enumerate([1, 4])
    ]
    assert pass_at_1_by_problem(scores) == {"a": {"P": pytest.approx(0.5)}}


def test_arms_differ_in_more_than_colour() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == len({str(line) for line in LINES}) == 8


def test_an_empty_training_log_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synthetic_run.write_run(tmp_path)
    (folder / "train/gpu/seed0/metrics.jsonl").write_text("")
    with pytest.raises(SystemExit):
        draw(folder, tmp_path / "figures")
    assert "train/gpu/seed0/metrics.jsonl: no row" in capsys.readouterr().err
