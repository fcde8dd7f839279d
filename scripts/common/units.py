"""Quantities with units, kept by pint: what the paper's numbers, the audit's formulas and the cost formulas carry.

The registry knows the units below and no other. Adding hours to dollars, or a price by the token where one by the hour
is due, raises pint.DimensionalityError; hours and seconds are converted by it, so that no formula has a factor 3600.
What is counted (tokens, requests, chips, ...) is a dimension of its own, so that it has to cancel like a metre does.
"""

from __future__ import annotations

import tokenize
from typing import Any

import pint

COUNTED = ("weight", "token", "request", "sample", "problem", "step", "chip", "core", "layer", "head", "dim")
UNITS: Any = pint.UnitRegistry(None)
for definition in (
    "milli- = 1e-3 = m-",
    "mega- = 1e6 = M-",
    "giga- = 1e9 = G-",
    "tera- = 1e12 = T-",
    "gibi- = 1073741824 = Gi-",
    "second = [time] = s",
    "minute = 60 * second = min",
    "hour = 3600 * second = h",
    "USD = [currency]",
    "byte = [information] = B",
    "FLOP = [operation]",
    "ratio = []",
    "percent = 0.01 = %",
    *(f"{name} = [{name}]" for name in COUNTED),
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
    """`value` in `unit`, an expression of the units above such as "USD/hour" or "GiB/chip"; "" for a plain number.

    Raises ValueError for a unit that is not known, or no expression.
    """
    try:
        made: Quantity = UNITS.Quantity(float(value), unit)
    except (pint.UndefinedUnitError, pint.DefinitionSyntaxError, ValueError) as error:
        raise ValueError(f"unit {unit!r}: {error}") from None
    except (AssertionError, tokenize.TokenError):  # pint's parser, where an expression breaks off
        raise ValueError(f"unit {unit!r}: no expression of units") from None
    return made


def in_unit(value: Any, unit: str) -> float:
    """The number of `unit` in `value`, a quantity or a plain number. Raises ValueError where the dimensions differ."""
    try:
        return float(UNITS.Quantity(value).m_as(unit))
    except pint.DimensionalityError as error:
        raise ValueError(str(error)) from None


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


def shown(value: Any) -> str:
    """A value as readers see it: four significant digits where that loses nothing that matters, and its unit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value)
    number, unit = UNITS.Quantity(value).magnitude, UNITS.Quantity(value).units
    text = f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 1e5 else f"{number:,.5g}"
    if abs(number) >= 1e12 or 0 < abs(number) < 1e-3:
        text = f"{number:.4g}"
    return text if unit == UNITS.dimensionless or str(unit) == "ratio" else f"{text} {unit:~}"
