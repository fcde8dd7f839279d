"""Arms against each other, and an arm against its assumptions: break-even points and sensitivity."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from scripts.common.units import Quantity, quantity
from scripts.cost import formulas
from scripts.cost.breakdown import Measured, cost_line
from scripts.cost.settings import Settings
from scripts.cost.workload import Conditions, NeverEnds, serving_hours, training_cost


def break_evens(arms: Sequence[Measured], settings: Settings) -> list[dict[str, Any]]:
    """For each pair of arms the serving hours, and at each context the tokens, at which both cost the same.

    Tokens are served at the sustained throughput; a pair is left out at a context that one of them does not sustain.
    """
    contexts: list[tuple[int, int] | None] = [None, *_contexts(arms)]
    rows = []
    for (first, second), context in itertools.product(itertools.combinations(arms, 2), contexts):
        lines = cost_line(first, settings, context), cost_line(second, settings, context)
        if lines[0] is None or lines[1] is None:
            continue
        point = formulas.break_even(lines[0], lines[1])
        names = {"first": first.arm.name, "second": second.arm.name, None: None}
        rows.append(
            {
                "arms": [first.arm.name, second.arm.name],
                "input_tokens": context and context[0],
                "output_tokens": context and context[1],
                "serving_hours": _amount(point.at, "hour") if context is None else None,
                "output_tokens_millions": _amount(point.at, "Mtoken") if context else None,
                "cheaper_before": names[point.cheaper_before],
                "cheaper_after": names[point.cheaper_after],
            }
        )
    return rows


def _amount(at: Quantity | None, unit: str) -> float | None:
    return None if at is None else float(at.m_as(unit))


def _contexts(arms: Sequence[Measured]) -> list[tuple[int, int]]:
    return sorted({context for measured in arms for context in measured.contexts()})


def sensitivity(arms: Sequence[Measured], settings: Settings) -> dict[str, Any]:
    """Each arm's total for the most tokens, at the shortest context, with one assumption changed at a time."""
    context, volume = _contexts(arms)[0], max(settings.output_tokens_millions)
    return {
        "input_tokens": context[0],
        "output_tokens": context[1],
        "output_tokens_millions": volume,
        "arms": {measured.arm.name: _arm_sensitivity(measured, settings, context, volume) for measured in arms},
    }


def _arm_sensitivity(
    measured: Measured, settings: Settings, context: tuple[int, int], volume: float
) -> dict[str, Any] | None:
    """The total as configured, and at both ends of each range; None where the arm does not sustain the context."""
    throughput = measured.sustained_throughput(context, settings.sustained_share)
    if throughput is None:
        return None

    def total_usd(conditions: Conditions | None) -> float | None:
        if conditions is None:
            return None
        hours = serving_hours(quantity(volume, "Mtoken"), throughput, measured.startup, conditions)
        try:
            training = training_cost(measured.runs, conditions)
        except NeverEnds:
            return None
        return float(formulas.total_cost(training, hours, conditions.serving_price).m_as("USD"))

    base, ranges = settings.conditions(measured.arm), settings.sensitivity
    cases = {
        "price_factor": (ranges.price_factors, lambda factor: _at_price(base, factor)),
        "utilisation": (ranges.utilisations, lambda share: dataclasses.replace(base, utilisation=share)),
        "spot_interruptions_per_hour": (
            ranges.interruptions_per_hour,
            lambda rate: settings.spot_conditions(measured.arm, rate),
        ),
    }
    return {
        "usd": total_usd(base),
        "bars": [
            {"parameter": name, "values": list(ends), "usd": [total_usd(changed(end)) for end in ends]}
            for name, (ends, changed) in cases.items()
        ],
    }


def _at_price(base: Conditions, factor: float) -> Conditions:
    return dataclasses.replace(
        base,
        training_price=None if base.training_price is None else base.training_price * factor,
        serving_price=base.serving_price * factor,
    )
