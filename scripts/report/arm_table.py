"""What every table of arms depends on, and its form: a column an arm, ratios against the baseline, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.report.notes import ratio_notes
from scripts.report.results import Arm, Hardware
from scripts.report.table import Row, Table


@dataclass(frozen=True)
class Settings:
    """What the tables depend on: arms in order, and the hardware entries that they use with the price of each."""

    arms: tuple[Arm, ...]
    baseline_arm: str
    hardware: dict[str, Hardware]

    def __post_init__(self) -> None:
        if self.baseline_arm not in [arm.name for arm in self.arms]:
            raise ValueError(f"baseline_arm: found {self.baseline_arm!r}, which is no arm")


def arm_table(name: str, title: str, rows: Sequence[Row], settings: Settings, notes: Sequence[str]) -> Table:
    """A table with a column an arm; the meaning of the ratios is the first of its notes."""
    return Table(
        name,
        title,
        tuple(arm.name for arm in settings.arms),
        tuple(arm.label for arm in settings.arms),
        settings.baseline_arm,
        tuple(rows),
        (*ratio_notes(rows, settings.arms, settings.baseline_arm), *notes),
    )
