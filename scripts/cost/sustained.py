"""Which cell of a server's benchmark is its peak, and which it could go on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Cell = dict[str, Any]


def peak(cells: Sequence[Cell]) -> Cell:
    """The cell with the most output tokens a second, whatever the rate."""
    return max(cells, key=_throughput)


def sustained(cells: Sequence[Cell], share: float) -> Cell | None:
    """The cell with the most output tokens a second among the finite rates that the server kept up with; None for none.

    It kept up where all requests were answered, in at most 1 / `share` of the time that they take to arrive and one of
    them takes at the lowest rate: else requests were queueing up, and it could not have gone on.
    """
    finite = sorted((cell for cell in cells if cell["request_rate_per_sec"] != "inf"), key=_rate)
    if not finite:
        return None
    unloaded_sec = request_sec(finite[0])
    kept_up = [cell for cell in finite if cell["completed"] == cell["prompts"] and _kept_up(cell, unloaded_sec, share)]
    return max(kept_up, key=_throughput, default=None)


def request_sec(cell: Cell) -> float:
    """Mean time of a request of the cell [s]: to the first token, and the others of the answer."""
    ttft, tpot = cell["ttft_ms"]["mean"] or 0.0, cell["tpot_ms"]["mean"] or 0.0
    return float(ttft + tpot * (cell["output_tokens"] - 1)) / 1000


def _kept_up(cell: Cell, unloaded_sec: float, share: float) -> bool:
    arrivals_sec = cell["prompts"] / _rate(cell)
    return bool(cell["duration_sec"] * share <= arrivals_sec + unloaded_sec)


def _rate(cell: Cell) -> float:
    return float(cell["request_rate_per_sec"])


def _throughput(cell: Cell) -> float:
    return cell["output_tokens_per_sec"] or 0.0
