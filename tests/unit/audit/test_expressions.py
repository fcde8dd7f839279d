"""Formulas over quantities: units, roundings, and nothing but the given functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.audit.expressions import (
    ExpressionError,
    Value,
    calls_in,
    comparison,
    evaluate,
    functions_in,
    names_in,
    with_values,
)
from scripts.common.units import in_unit, quantity

VALUES = {
    "price": Value(quantity(20, "USD/h")),
    "rate": Value(quantity(1000, "token/s"), 0.5),
    "hours": Value(quantity(3.5, "h"), 0.05),
    "word": Value("fp8"),
}


def test_units_are_carried_and_converted() -> None:
    result = evaluate("price / rate", VALUES, {})
    assert in_unit(result.nominal, "USD/Mtoken") == pytest.approx(20 / 3.6)


@pytest.mark.parametrize("expression", ["price + hours", "hours < rate", "nothing * 2", "hours +", "hours.units"])
def test_what_makes_no_sense_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, VALUES, {})


@pytest.mark.parametrize(
    "expression", ["__import__('os')", "open('x')", "hours.__class__", "[x for x in word]", "(lambda: 1)()"]
)
def test_nothing_but_the_given_functions_is_called_or_read(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, VALUES, {})


@given(st.floats(-0.049, 0.049), st.floats(-0.49, 0.49))
def test_what_lies_within_the_roundings_lies_between_the_corners(off_hours: float, off_rate: float) -> None:
    corners = [in_unit(corner, "token") for corner in evaluate("hours * rate", VALUES, {}).corners]
    assert min(corners) <= (3.5 + off_hours) * 3600 * (1000 + off_rate) <= max(corners)


def test_names_functions_and_sides() -> None:
    assert names_in("f(a, g(b)) + a") == ["a", "b"]
    assert functions_in("f(a, g(b)) + a") == {"f", "g"}
    assert comparison("a + b < 3") == ("a + b", "<", "3")
    assert comparison("a + b") is None
    assert calls_in('f(a, g(b)) + Q(1, "h")') == ["f(a, g(b))", "g(b)"]
    assert calls_in("f(a)") == []


def test_values_take_the_place_of_names_but_not_in_words() -> None:
    assert with_values('f("price", hours) / rate', VALUES) == 'f("price", 3.5 h) / 1,000 token / s'
