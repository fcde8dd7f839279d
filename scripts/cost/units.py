"""Quantities of the cost formulas: money, time, tokens and problems, told apart by pint.

The registry knows these units and no other. Adding hours to dollars, or a price by the token where one by the hour is
due, raises pint.DimensionalityError; seconds and hours are converted by it, so that no formula has a factor 3600.
"""

from __future__ import annotations

from typing import Any

import pint

UNITS: Any = pint.UnitRegistry(None)
for definition in (
    "second = [time]",
    "hour = 3600 * second",
    "USD = [currency]",
    "token = [token]",
    "million_tokens = 1e6 * token",
    "problem = [problem]",
):
    UNITS.define(definition)

Quantity = pint.Quantity
TIME = "[time]"
MONEY = "[currency]"
TOKENS = "[token]"
PROBLEMS = "[problem]"
HOURLY_PRICE = "[currency]/[time]"
TOKEN_PRICE = "[currency]/[token]"
THROUGHPUT = "[token]/[time]"
RATE = "1/[time]"


def quantity(value: float, unit: str) -> Quantity:
    """`value` in `unit`, an expression of the units above such as "USD/hour"; "" for a plain number."""
    made: Quantity = UNITS.Quantity(float(value), unit)
    return made


def positive(value: Quantity, name: str) -> Quantity:
    """`value`, or a ValueError that names it where it is not above 0 and finite."""
    if not 0 < value.magnitude < float("inf"):
        raise ValueError(f"{name}: expected a number above 0, found {value}")
    return value


def not_negative(value: Quantity, name: str) -> Quantity:
    """`value`, or a ValueError that names it where it is negative or not finite."""
    if not 0 <= value.magnitude < float("inf"):
        raise ValueError(f"{name}: expected a number of at least 0, found {value}")
    return value
