"""The costs of one arm from its measured results and the prices of its hardware."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.common.errors import UserError
from scripts.common.spread import spread
from scripts.common.units import Quantity, quantity
from scripts.cost import formulas
from scripts.cost.settings import ArmHardware, Settings
from scripts.cost.sustained import peak, sustained
from scripts.cost.workload import Conditions, TrainingRun, output_price, run_costs, serving_hours, training_cost


@dataclass(frozen=True)
class Evaluation:
    """What one model's answers to all problems were: tokens written, and problems solved by any of them."""

    seed: int
    output_tokens: Quantity
    solved: int


@dataclass(frozen=True)
class Measured:
    """What one arm measured: training runs and evaluations, one a seed, and its server's benchmark (bench.json)."""

    arm: ArmHardware
    runs: tuple[TrainingRun, ...]
    bench: dict[str, Any]
    evaluations: tuple[Evaluation, ...]

    def __post_init__(self) -> None:
        found = [(self.bench["hardware"], self.arm.serve), *((run.hardware, self.arm.train) for run in self.runs)]
        for hardware, expected in found:
            if hardware != expected:
                raise UserError(
                    f"arm {self.arm.name}: results are of hardware {hardware}, the configuration says {expected}"
                )
        if bool(self.runs) != (self.arm.train is not None):
            raise UserError(
                f"arm {self.arm.name}: found {len(self.runs)} training runs, its training hardware is {self.arm.train}"
            )

    @property
    def startup(self) -> Quantity:
        """What an interrupted server takes to answer again."""
        return quantity(self.bench["server"]["startup_sec"], "second")

    def contexts(self) -> dict[tuple[int, int], list[dict[str, Any]]]:
        """Benchmark cells by (input tokens, output tokens)."""
        cells: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for cell in self.bench["cells"]:
            cells.setdefault((cell["input_tokens"], cell["output_tokens"]), []).append(cell)
        return cells

    def sustained_throughput(self, context: tuple[int, int], share: float) -> Quantity | None:
        """Output tokens a second that the server sustains at a context; None where no rate was, or it wrote none."""
        cell = sustained(self.contexts().get(context, []), share)
        throughput = cell and cell["output_tokens_per_sec"]
        return quantity(throughput, "token/second") if throughput else None


def arm_costs(measured: Measured, settings: Settings) -> dict[str, Any]:
    """The entry of one arm in costs.json; `training` is None for an untuned arm."""
    conditions = settings.conditions(measured.arm)
    costs = run_costs(measured.runs, conditions)
    return {
        "training": _training(measured, costs, settings) if measured.runs else None,
        "serving": {
            "hardware": measured.arm.serve,
            "usd_per_hour": conditions.serving_price.m_as("USD/hour"),
            "contexts": [
                _context(context, cells, measured, settings) for context, cells in measured.contexts().items()
            ],
        },
        "evaluation": {
            "output_tokens": _spread(entry.output_tokens.m_as("token") for entry in measured.evaluations),
            "problems_solved": _spread(float(entry.solved) for entry in measured.evaluations),
        },
        "tco": {
            "by_hours": _by_hours(costs, conditions, settings),
            "by_tokens": _by_tokens(measured, costs, conditions, settings),
        },
    }


def _training(measured: Measured, costs: Sequence[Quantity], settings: Settings) -> dict[str, Any]:
    """Cost of one training run, over its seeds; the machine is paid for from start to end."""
    runs, price = measured.runs, settings.price_of(measured.arm.train)
    pairs = list(zip(runs, costs, strict=True))
    return {
        "hardware": measured.arm.train,
        "usd_per_hour": price.m_as("USD/hour"),
        "seeds": [run.seed for run in runs],
        "wall_clock_hours": _spread(run.wall_clock.m_as("hour") for run in runs),
        "paid_hours": _spread((cost / price).m_as("hour") for cost in costs),
        "cost_usd": _spread(cost.m_as("USD") for cost in costs),
        "usd_per_million_real_tokens": _spread(
            formulas.price_per_token(cost, run.real_tokens).m_as("USD/Mtoken") for run, cost in pairs
        ),
        "usd_per_million_padded_tokens": _spread(
            formulas.price_per_token(cost, run.padded_tokens).m_as("USD/Mtoken") for run, cost in pairs
        ),
    }


def _context(
    context: tuple[int, int], cells: Sequence[dict[str, Any]], measured: Measured, settings: Settings
) -> dict[str, Any]:
    """Cost of output tokens at one context: peak, sustained and at each rate, and of each problem solved with them."""
    price = settings.price_of(measured.arm.serve)
    chosen = {"peak": peak(cells), "sustained": sustained(cells, settings.sustained_share)}
    costs = {name: _cell_cost(cell, price) if cell else None for name, cell in chosen.items()}
    return {
        "input_tokens": context[0],
        "output_tokens": context[1],
        **costs,
        "usd_per_solved_problem": {
            name: _price_per_problem(measured.evaluations, cost) for name, cost in costs.items()
        },
        "by_rate": [_cell_cost(cell, price) for cell in cells],
    }


def _cell_cost(cell: dict[str, Any], price: Quantity) -> dict[str, Any]:
    """The cost at one request rate; null where no token was written."""
    throughput = cell["output_tokens_per_sec"]
    cost = formulas.price_of_output(quantity(throughput, "token/second"), price) if throughput else None
    return {
        "request_rate_per_sec": cell["request_rate_per_sec"],
        "output_tokens_per_sec": throughput,
        "usd_per_million_output_tokens": None if cost is None else cost.m_as("USD/Mtoken"),
    }


def _price_per_problem(evaluations: Sequence[Evaluation], cost: dict[str, Any] | None) -> dict[str, Any] | None:
    """Over the seeds, at the cost of a cell; None where the price of tokens is unknown or a model solved nothing."""
    usd_per_million_tokens = cost["usd_per_million_output_tokens"] if cost else None
    if usd_per_million_tokens is None or any(entry.solved == 0 for entry in evaluations):
        return None
    price = quantity(usd_per_million_tokens, "USD/Mtoken")
    return _spread(
        formulas.price_per_problem(entry.output_tokens, price, quantity(entry.solved, "problem")).m_as("USD/problem")
        for entry in evaluations
    )


def _by_hours(costs: Sequence[Quantity], conditions: Conditions, settings: Settings) -> list[dict[str, Any]]:
    trained = costs or [quantity(0, "USD")]
    return [
        {
            "serving_hours": hours,
            "usd": _spread(
                formulas.total_cost(cost, quantity(hours, "hour"), conditions.serving_price).m_as("USD")
                for cost in trained
            ),
        }
        for hours in settings.serving_hours
    ]


def _by_tokens(
    measured: Measured, costs: Sequence[Quantity], conditions: Conditions, settings: Settings
) -> list[dict[str, Any]]:
    """Totals of each volume of output tokens at each context, at the sustained throughput; null where there is none."""
    trained = costs or [quantity(0, "USD")]
    rows = []
    for context in measured.contexts():
        throughput = measured.sustained_throughput(context, settings.sustained_share)
        for volume in settings.output_tokens_millions:
            tokens = quantity(volume, "Mtoken")
            hours = throughput and serving_hours(tokens, throughput, measured.startup, conditions)
            usd = hours and _spread(
                formulas.total_cost(cost, hours, conditions.serving_price).m_as("USD") for cost in trained
            )
            rows.append(
                {
                    "input_tokens": context[0],
                    "output_tokens": context[1],
                    "output_tokens_millions": volume,
                    "serving_hours": hours and hours.m_as("hour"),
                    "usd": usd,
                }
            )
    return rows


def cost_line(measured: Measured, settings: Settings, context: tuple[int, int] | None) -> formulas.CostLine | None:
    """The arm's total against serving hours (no context) or against output tokens at a context, None where unknown."""
    conditions = settings.conditions(measured.arm)
    fixed = training_cost(measured.runs, conditions)
    if context is None:
        return formulas.CostLine(fixed, conditions.serving_price)
    throughput = measured.sustained_throughput(context, settings.sustained_share)
    if throughput is None:
        return None
    return formulas.CostLine(fixed, output_price(throughput, measured.startup, conditions))


def _spread(values: Iterable[float]) -> dict[str, Any] | None:
    result = spread(values)
    return dataclasses.asdict(result) if result else None
