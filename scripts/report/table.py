"""A table with a column an arm and a ratio column for each arm against the baseline, and how it is written."""

from __future__ import annotations

import csv
import html
import io
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from tabulate import tabulate

from scripts.common.spread import Spread

Cell = Spread | float | int | str | None
DASH = "–"
LATEX_SPECIAL = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {character: f"\\{character}" for character in "&%$#_{}"}
)


@dataclass(frozen=True)
class Row:
    """One quantity: a cell an arm, None where the arm has none. `better` says which way is better, None for neither."""

    label: str
    unit: str
    cells: tuple[Cell, ...]
    better: Literal["lower", "higher"] | None = None
    form: Literal["significant", "exact", "integer", "usd", "fraction"] = "significant"
    section: str = ""

    @property
    def label_with_unit(self) -> str:
        return f"{self.label} [{self.unit}]" if self.unit else self.label


@dataclass(frozen=True)
class Table:
    """`arm_names` head the CSV's columns, `arm_labels` those of the readable forms; `notes` are its footnotes."""

    name: str
    title: str
    arm_names: tuple[str, ...]
    arm_labels: tuple[str, ...]
    baseline: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.baseline not in self.arm_names or len(self.arm_labels) != len(self.arm_names):
            raise ValueError(f"table {self.name}: arms {self.arm_names}, baseline {self.baseline}")
        for row in self.rows:
            if len(row.cells) != len(self.arm_names):
                raise ValueError(f"table {self.name}: {len(row.cells)} cells in {row.label!r}")

    @property
    def compared(self) -> tuple[int, ...]:
        """Positions of the arms that have a ratio column: all but the baseline, where any row has a better way."""
        if not any(row.better for row in self.rows):
            return ()
        return tuple(index for index, name in enumerate(self.arm_names) if name != self.baseline)

    def ratio(self, row: Row, index: int) -> float | None:
        """How many times better the arm at `index` is than the baseline."""
        return advantage(row.cells[index], row.cells[self.arm_names.index(self.baseline)], row.better)


def advantage(value: Cell, baseline: Cell, better: str | None) -> float | None:
    """How many times better `value` is than `baseline`: value / baseline where higher is better, else its inverse.

    Above 1 the arm is better, as in the paper's "2.12x cheaper". None without a direction, or where it is undefined.
    """
    numbers = [cell.mean if isinstance(cell, Spread) else cell for cell in (value, baseline)]
    first, second = numbers
    if better is None or not isinstance(first, int | float) or not isinstance(second, int | float):
        return None
    over, under = (first, second) if better == "higher" else (second, first)
    return over / under if under > 0 and over >= 0 else None


def format_number(value: float, form: str) -> str:
    """`value` as text, with an exponent only where it would begin with more zeros than anyone counts.

    `exact`: every digit; `integer`: grouped digits; `fraction`: 4 decimals; `usd`: cents, or 3 digits below a dollar;
    `significant`: 3 digits, more only before the decimal point.
    """
    if form == "exact":
        return f"{value:,}"
    if form == "integer":
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    if form == "fraction":
        return f"{value:.4f}"
    if abs(value) >= (1 if form == "usd" else 1000):
        return f"{value:,.2f}" if form == "usd" else f"{value:,.0f}"
    if 0 < abs(value) < 1e-6:
        return f"{value:.2e}"
    return f"{Decimal(f'{value:#.3g}'):f}".removesuffix(".")


def format_cell(cell: Cell, form: str) -> str:
    """A cell as readers see it: a dash for None, mean ± standard deviation (n seeds) for a spread.

    The deviation has two digits, and is left out where all seeds agree.
    """
    if cell is None:
        return DASH
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Spread):
        mean = format_number(cell.mean, form)
        return f"{mean} ± {Decimal(f'{cell.sd:.2g}'):f} (n={cell.n})" if cell.sd else mean
    return format_number(cell, form)


def to_csv(table: Table) -> str:
    """Raw values, a column an arm with its standard deviation and number of seeds, and a ratio column an arm."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["section", "quantity", "unit", "better"]
    columns = [column for name in table.arm_names for column in (name, f"{name}_sd", f"{name}_n")]
    writer.writerow([*head, *columns, *(f"{table.arm_names[i]}_vs_{table.baseline}" for i in table.compared)])
    for row in table.rows:
        values = [value for cell in row.cells for value in _raw(cell)]
        ratios = [_blank(table.ratio(row, index)) for index in table.compared]
        writer.writerow([row.section, row.label, row.unit, row.better or "", *values, *ratios])
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A heading, the table and its notes."""
    body = [[cell.replace("|", r"\|") for cell in line] for line in _lines(table, "**{}**")]
    header = [cell.replace("|", r"\|") for cell in _header(table)]
    grid = tabulate(body, header, tablefmt="pipe", disable_numparse=True, colalign=_alignment(table))
    notes = "\n".join(f"- {note}" for note in table.notes)
    return f"### {table.title}\n\n{grid}\n" + (f"\n{notes}\n" if notes else "")


def to_latex(table: Table) -> str:
    """A `table` environment for a document that loads booktabs; the notes are part of its caption."""
    grid = tabulate(
        _lines(table, "{}"),
        _header(table),
        tablefmt="latex_booktabs",
        disable_numparse=True,
        colalign=_alignment(table),
    )
    caption = " ".join([f"{table.title}.", *table.notes]).translate(LATEX_SPECIAL)
    return (
        "% Needs \\usepackage{booktabs}.\n"
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{table.name}}}\n{grid}\n\\end{{table}}\n"
    )


def to_html(table: Table) -> str:
    """One self-contained page, for the HTML report."""
    grid = tabulate(_lines(table, "{}"), _header(table), tablefmt="html", disable_numparse=True)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(table.title)}</title>\n'
        "<style>body{font:14px/1.45 sans-serif;margin:1.5em;color:#222}table{border-collapse:collapse}"
        "th,td{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}"
        "th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #444}"
        "li{max-width:60em;color:#555}</style></head>\n"
        f"<body><h1>{html.escape(table.title)}</h1>\n{grid}\n<ul>{notes}</ul></body></html>\n"
    )


def _header(table: Table) -> list[str]:
    ratios = [f"{table.arm_names[index]} vs {table.baseline}" for index in table.compared]
    return ["", *table.arm_labels, *ratios, *(["better"] if ratios else [])]


def _alignment(table: Table) -> list[str]:
    return ["left", *["right"] * (len(_header(table)) - 1)]


def _lines(table: Table, section_form: str) -> list[list[str]]:
    """The readable cells of every row; a section begins with a row of its own."""
    lines: list[list[str]] = []
    width = len(_header(table))
    section = ""
    for row in table.rows:
        if row.section != section:
            section = row.section
            lines.append([section_form.format(section), *[""] * (width - 1)])
        ratios = [table.ratio(row, index) for index in table.compared]
        shown = [DASH if ratio is None else f"{ratio:.2f}×" for ratio in ratios]
        cells = [format_cell(cell, row.form) for cell in row.cells]
        lines.append([row.label_with_unit, *cells, *shown, *([row.better or ""] if shown else [])])
    return lines


def _raw(cell: Cell) -> list[str | float | int]:
    if isinstance(cell, Spread):
        return [cell.mean, _blank(cell.sd), cell.n]
    return [_blank(cell), "", ""]


def _blank(value: str | float | None) -> str | float:
    return "" if value is None else value
