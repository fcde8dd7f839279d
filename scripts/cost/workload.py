"""What an arm measured, as quantities, and what it would cost to train once and then serve: the model of all totals."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.common.errors import UserError
from scripts.common.units import Quantity, quantity
from scripts.cost import formulas
from scripts.cost.interruptions import paid_time, productive_share


class NeverEnds(UserError):
    """Interruptions so frequent that a run hardly ever reaches its next checkpoint."""


@dataclass(frozen=True)
class TrainingRun:
    """One measured training run: its wall-clock, the part of it that a restart repeats, and its tokens."""

    hardware: str
    seed: int
    wall_clock: Quantity
    restart: Quantity
    checkpoint_interval: Quantity
    real_tokens: Quantity
    padded_tokens: Quantity

    @classmethod
    def from_record(cls, run: dict[str, Any], checkpoint_interval_steps: int) -> TrainingRun:
        """Of a run.json. A restart repeats the start and the compilation; checkpoints are as many steps apart."""
        wall_clock = quantity(run["wall_clock_sec"], "second")
        return cls(
            hardware=run["hardware"],
            seed=run["seed"],
            wall_clock=wall_clock,
            restart=quantity(run["start_sec"] + run["new_shapes_sec"], "second"),
            checkpoint_interval=wall_clock * checkpoint_interval_steps / run["optimizer_steps"],
            real_tokens=quantity(run["real_tokens"], "token"),
            padded_tokens=quantity(run["padded_tokens"], "token"),
        )


@dataclass(frozen=True)
class Conditions:
    """What can be varied: the hourly prices, how busy the server is, and how often machines are taken away."""

    training_price: Quantity | None
    serving_price: Quantity
    utilisation: float
    interruptions: Quantity


def run_cost(run: TrainingRun, price: Quantity, interruptions: Quantity) -> Quantity:
    """What the run costs [USD]: its wall-clock as measured, or as predicted for a machine that is interrupted."""
    try:
        time = paid_time(run.wall_clock, run.checkpoint_interval, run.restart, interruptions)
    except OverflowError:
        raise NeverEnds(
            f"training on {run.hardware}: at {interruptions.m_as('1/hour'):g} interruptions an hour, with a checkpoint "
            f"every {run.checkpoint_interval.m_as('hour'):.3g} h, it would never end; lower "
            "train.checkpoint_interval_steps or cost.interruptions_per_hour"
        ) from None
    return formulas.rent(time, price)


def run_costs(runs: Sequence[TrainingRun], conditions: Conditions) -> list[Quantity]:
    """What each run costs [USD]; empty for an untuned arm."""
    if conditions.training_price is None:
        return []
    return [run_cost(run, conditions.training_price, conditions.interruptions) for run in runs]


def training_cost(runs: Sequence[TrainingRun], conditions: Conditions) -> Quantity:
    """Mean over the seeds of what one run costs [USD]; 0 for an untuned arm."""
    costs = [cost.m_as("USD") for cost in run_costs(runs, conditions)]
    return quantity(statistics.fmean(costs) if costs else 0.0, "USD")


def serving_hours(tokens: Quantity, throughput: Quantity, startup: Quantity, conditions: Conditions) -> Quantity:
    """Paid hours in which the server writes `tokens`: it idles and restarts in the rest of them."""
    share = conditions.utilisation * productive_share(startup, conditions.interruptions)
    return formulas.serving_time(tokens, throughput, share)


def output_price(throughput: Quantity, startup: Quantity, conditions: Conditions) -> Quantity:
    """What a further million tokens cost [USD per million tokens], idle time and restarts included."""
    share = conditions.utilisation * productive_share(startup, conditions.interruptions)
    return formulas.price_of_output(throughput * share, conditions.serving_price)
