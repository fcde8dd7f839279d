"""The units that the paper's numbers and the audit's formulas carry, kept by pint: a sum of dollars and hours fails.

What is counted (tokens, requests, chips, ...) is a dimension of its own, so that it has to cancel like a metre does.
"""

from __future__ import annotations

from typing import Any

import pint

REGISTRY: pint.UnitRegistry = pint.UnitRegistry()
COUNTED = (
    "weight",
    "token",
    "request",
    "sample",
    "problem",
    "step",
    "chip",
    "core",
    "layer",
    "head",
    "dim",
)
for name in COUNTED:
    REGISTRY.define(f"{name} = [{name}]")
REGISTRY.define("USD = [currency]")
REGISTRY.define("FLOP = [operation]")
REGISTRY.define("ratio = 1")
DIMENSIONLESS = REGISTRY.dimensionless


def quantity(value: float, unit: str) -> Any:
    """`value` with `unit`, a pint quantity. Raises ValueError for a unit that is not known."""
    try:
        return REGISTRY.Quantity(value, REGISTRY.parse_units(unit))
    except (pint.errors.UndefinedUnitError, pint.errors.DefinitionSyntaxError, ValueError) as error:
        raise ValueError(f"unit {unit!r}: {error}") from None


def in_unit(value: Any, unit: str) -> float:
    """The number of `unit` in `value`, a quantity or a plain number. Raises ValueError where the dimensions differ."""
    try:
        return float(REGISTRY.Quantity(value).to(REGISTRY.parse_units(unit)).magnitude)
    except pint.errors.DimensionalityError as error:
        raise ValueError(str(error)) from None


def shown(value: Any) -> str:
    """A value as readers see it: four significant digits where that loses nothing that matters, and its unit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value)
    number, unit = REGISTRY.Quantity(value).magnitude, REGISTRY.Quantity(value).units
    text = f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 1e5 else f"{number:,.5g}"
    if abs(number) >= 1e12 or 0 < abs(number) < 1e-3:
        text = f"{number:.4g}"
    return text if unit == DIMENSIONLESS or str(unit) == "ratio" else f"{text} {unit:~}"
