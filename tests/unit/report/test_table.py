"""One table, four forms: raw CSV, and Markdown, LaTeX and HTML for readers."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.spread import Spread
from scripts.report.table import (
    Row,
    Table,
    advantage,
    format_cell,
    format_number,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)

POSITIVE = st.floats(1e-6, 1e9)


def table(*rows: Row, labels: tuple[str, ...] = ("TPU", "GPU"), notes: tuple[str, ...] = ()) -> Table:
    return Table("example", "An example", ("tpu", "gpu"), labels, "gpu", rows, notes)


TIME = Row("Wall-clock time", "h", (3.34, 5.39), "lower")


@pytest.mark.parametrize(
    ("value", "baseline", "better", "printed"),
    [
        (3.34, 5.39, "lower", 1.61),
        (56.11, 119.23, "lower", 2.12),
        (763.0, 486.0, "higher", 1.57),
        (77.63, 141.35, "lower", 1.82),
        (0.6410, 0.6974, "higher", 0.92),
    ],
)
def test_ratios_of_the_paper(value: float, baseline: float, better: str, printed: float) -> None:
    ratio = advantage(value, baseline, better)
    assert ratio is not None
    assert round(ratio, 2) == printed


@given(POSITIVE, POSITIVE, st.sampled_from(["lower", "higher"]))
def test_a_ratio_and_its_reverse_are_inverse(first: float, second: float, better: str) -> None:
    there, back = advantage(first, second, better), advantage(second, first, better)
    assert there is not None
    assert back is not None
    assert math.isclose(there * back, 1)
    assert (there > 1) == ((first > second) if better == "higher" else (first < second)) or first == second


@pytest.mark.parametrize(
    ("value", "baseline", "better"),
    [(None, 1.0, "lower"), ("cpu", "cpu", "lower"), (1.0, 2.0, None), (1.0, 0.0, "higher")],
)
def test_some_pairs_have_no_ratio(value: float | str | None, baseline: float | str | None, better: str | None) -> None:
    assert advantage(value, baseline, better) is None


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (1240, "integer", "1,240"),
        (31.5, "integer", "31.5"),
        (0.641, "fraction", "0.6410"),
        (56.112, "usd", "56.11"),
        (1234.5, "usd", "1,234.50"),
        (0.0002244, "usd", "0.000224"),
        (23.94, "significant", "23.9"),
        (0.0015, "significant", "0.00150"),
        (-0.0000015, "significant", "-0.00000150"),
        (1.2589e-70, "significant", "1.26e-70"),
        (320.0, "significant", "320"),
        (51234.5, "significant", "51,234"),
        (31.25, "exact", "31.25"),
        (0, "usd", "0.00"),
    ],
)
def test_numbers_are_written_to_a_fitting_precision(value: float, form: str, text: str) -> None:
    assert format_number(value, form) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        ("tunix", "tunix"),
        (Spread(0.25, 0.0123, 3), "0.250 ± 0.012 (n=3)"),
        (Spread(0.25, None, 1), "0.250"),
        (Spread(300.0, 0.0, 3), "300"),
    ],
)
def test_cells_show_their_spread_and_dashes_for_nothing(cell: Spread | str | None, text: str) -> None:
    assert format_cell(cell, "significant") == text


def test_csv_holds_raw_values_and_blanks() -> None:
    rows = list(
        csv.reader(io.StringIO(to_csv(table(TIME, Row("Loss", "nats", (Spread(0.1, 0.01, 2), None), "lower")))))
    )
    assert rows == [
        ["section", "quantity", "unit", "better", "tpu", "tpu_sd", "tpu_n", "gpu", "gpu_sd", "gpu_n", "tpu_vs_gpu"],
        ["", "Wall-clock time", "h", "lower", "3.34", "", "", "5.39", "", "", str(5.39 / 3.34)],
        ["", "Loss", "nats", "lower", "0.1", "0.01", "2", "", "", "", ""],
    ]


def test_markdown_has_units_ratios_their_direction_and_notes() -> None:
    text = to_markdown(table(TIME, Row("Kind", "", ("tpu", "gpu"), section="Machine"), notes=("Measured somewhere.",)))
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    assert lines[0] == ["", "TPU", "GPU", "tpu vs gpu", "better"]
    assert lines[2] == ["Wall-clock time [h]", "3.34", "5.39", "1.61×", "lower"]
    assert lines[3] == ["**Machine**", "", "", "", ""]
    assert lines[4] == ["Kind", "tpu", "gpu", "–", ""]
    assert text.startswith("### An example\n")
    assert text.endswith("\n- Measured somewhere.\n")


def test_labels_cannot_break_a_form() -> None:
    awkward = table(TIME, labels=("a|b & <c> 50%_$", "GPU"), notes=("100% of {x}_1 & <y>",))
    assert r"a\|b & <c> 50%_$" in to_markdown(awkward)
    assert r"a|b \& " in to_latex(awkward)
    assert r" 50\%\_\$" in to_latex(awkward)
    assert r"100\% of \{x\}\_1 \& <y>" in to_latex(awkward)
    assert "a|b &amp; &lt;c&gt; 50%_$" in to_html(awkward)
    assert "<li>100% of {x}_1 &amp; &lt;y&gt;</li>" in to_html(awkward)


def test_latex_is_a_captioned_booktabs_table() -> None:
    text = to_latex(table(TIME, notes=("Measured somewhere.",)))
    assert r"\caption{An example. Measured somewhere.}" in text
    assert r"\label{tab:example}" in text
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    assert "Wall-clock time [h]" in text


def test_html_stands_alone() -> None:
    text = to_html(table(TIME))
    assert text.startswith("<!DOCTYPE html>")
    assert "http" not in text
    assert "1.61×" in text


def test_a_single_arm_has_no_ratio_column() -> None:
    alone = Table("t", "T", ("gpu",), ("GPU",), "gpu", (Row("Time", "h", (1.0,), "lower"),))
    assert "vs" not in to_csv(alone)
    assert "better" not in to_markdown(alone)


def test_a_row_must_have_a_cell_an_arm() -> None:
    with pytest.raises(ValueError, match="1 cells in 'Time'"):
        table(Row("Time", "h", (1.0,)))


def test_the_baseline_must_be_an_arm() -> None:
    with pytest.raises(ValueError, match="baseline x"):
        Table("t", "T", ("gpu",), ("GPU",), "x", ())
