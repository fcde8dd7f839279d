"""The costs of one arm from its measured results and the prices of its hardware."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.common.errors import UserError
from scripts.common.prices import Price
from scripts.common.spread import spread
from scripts.cost import formulas


@dataclass(frozen=True)
class ArmHardware:
    """Which hardware entries an arm uses; `train` is None for an untuned arm."""

    name: str
    train: str | None
    serve: str


@dataclass(frozen=True)
class Settings:
    """What the costs depend on: the price of each hardware entry, and the serving times in hours."""

    prices: dict[str, Price]
    serving_hours: tuple[float, ...]
    arms: tuple[ArmHardware, ...]

    def __post_init__(self) -> None:
        used = {entry for arm in self.arms for entry in (arm.train, arm.serve) if entry is not None}
        if used - set(self.prices):
            raise ValueError(f"prices: none of {', '.join(sorted(used - set(self.prices)))}")


def arm_costs(
    arm: ArmHardware, runs: Sequence[dict[str, Any]], bench: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    """The entry of one arm in costs.json: training (None for an untuned arm), serving, and total cost of ownership.

    `runs` are the arm's run.json files, one a seed; `bench` is its bench.json.
    """
    for found, expected in [(bench["hardware"], arm.serve), *((run["hardware"], arm.train) for run in runs)]:
        if found != expected:
            raise UserError(f"arm {arm.name}: results are of hardware {found}, the configuration says {expected}")
    if bool(runs) != (arm.train is not None):
        raise UserError(f"arm {arm.name}: found {len(runs)} training runs, its training hardware is {arm.train}")
    serving_usd_per_hour = settings.prices[arm.serve].usd_per_hour
    training_usd = [_run_cost_usd(run, settings) for run in runs] or [0.0]
    return {
        "training": training_costs(runs, settings) if runs else None,
        "serving": serving_costs(bench, serving_usd_per_hour),
        "tco": [
            {
                "serving_hours": hours,
                "usd": _spread(formulas.tco_usd(usd, hours, serving_usd_per_hour) for usd in training_usd),
            }
            for hours in settings.serving_hours
        ],
    }


def training_costs(runs: Sequence[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    """Cost of one training run of an arm, over its seeds; the machine is paid for from start to end (wall clock)."""
    costs = [_run_cost_usd(run, settings) for run in runs]
    pairs = list(zip(runs, costs, strict=True))
    return {
        "hardware": runs[0]["hardware"],
        "usd_per_hour": settings.prices[runs[0]["hardware"]].usd_per_hour,
        "seeds": [run["seed"] for run in runs],
        "wall_clock_hours": _spread(formulas.hours(run["wall_clock_sec"]) for run in runs),
        "cost_usd": _spread(costs),
        "usd_per_million_real_tokens": _spread(formulas.usd_per_million(usd, run["real_tokens"]) for run, usd in pairs),
        "usd_per_million_padded_tokens": _spread(
            formulas.usd_per_million(usd, run["padded_tokens"]) for run, usd in pairs
        ),
    }


def serving_costs(bench: dict[str, Any], usd_per_hour: float) -> dict[str, Any]:
    """Cost of output tokens of an arm's server: for each context at its peak over the rates, and at each rate."""
    contexts: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for cell in bench["cells"]:
        contexts.setdefault((cell["input_tokens"], cell["output_tokens"]), []).append(cell)
    return {
        "hardware": bench["hardware"],
        "usd_per_hour": usd_per_hour,
        "contexts": [
            {
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "peak": _cell_cost(max(cells, key=lambda cell: cell["output_tokens_per_sec"] or 0.0), usd_per_hour),
                "by_rate": [_cell_cost(cell, usd_per_hour) for cell in cells],
            }
            for (input_tokens, output_tokens), cells in contexts.items()
        ],
    }


def _cell_cost(cell: dict[str, Any], usd_per_hour: float) -> dict[str, Any]:
    """The cost at one request rate; null where no request was answered."""
    throughput = cell["output_tokens_per_sec"]
    return {
        "request_rate_per_sec": cell["request_rate_per_sec"],
        "output_tokens_per_sec": throughput,
        "usd_per_million_output_tokens": formulas.usd_per_million_tokens(throughput, usd_per_hour)
        if throughput
        else None,
    }


def _run_cost_usd(run: dict[str, Any], settings: Settings) -> float:
    return formulas.training_cost_usd(
        formulas.hours(run["wall_clock_sec"]), settings.prices[run["hardware"]].usd_per_hour
    )


def _spread(values: Any) -> dict[str, Any] | None:
    result = spread(values)
    return dataclasses.asdict(result) if result else None
