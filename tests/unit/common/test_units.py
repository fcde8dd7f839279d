"""One registry of units: what cannot be added or taken for another fails, and nothing else is known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.units import COUNTED, HOURLY_PRICE, UNITS, in_unit, not_negative, positive, quantity, shown


@UNITS.check(HOURLY_PRICE)
def of_hourly_price(price: Any) -> Any:
    return price


@pytest.mark.parametrize(
    "call",
    [
        lambda: quantity(1, "hour") + quantity(1, "USD"),
        lambda: quantity(1, "USD") < quantity(1, "Mtoken"),
        lambda: quantity(1, "GB") + quantity(1, "GB/chip"),
        lambda: quantity(1, "byte") + 1,
        lambda: quantity(1, "hour").m_as("USD"),
        lambda: of_hourly_price(quantity(1, "USD/token")),
        lambda: of_hourly_price(quantity(1, "USD")),
    ],
)
def test_mixed_units_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(pint.DimensionalityError):
        call()


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_counted_is_a_dimension_of_its_own(name: str) -> None:
    assert dict(quantity(1, name).dimensionality) == {f"[{name}]": 1}
    with pytest.raises(pint.DimensionalityError):
        quantity(1, name) + quantity(1, "ratio")


@pytest.mark.parametrize("unit", ["EUR/hour", "metre", "kelvin", "million_tokens", "3 USD", "USD/", "("])
def test_an_unknown_unit_is_refused_by_name(unit: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"unit {unit!r}: ")):
        quantity(1, unit)


@pytest.mark.parametrize(
    ("value", "unit", "other", "factor"),
    [
        (1, "hour", "s", 3600),
        (1, "min", "s", 60),
        (1, "s", "ms", 1000),
        (1, "USD/token", "USD/Mtoken", 1e6),
        (1, "GiB", "byte", 2**30),
        (1, "TB/s", "GB/s", 1000),
        (1, "Gweight", "weight", 1e9),
        (1, "ratio", "percent", 100),
        (1, "", "percent", 100),
    ],
)
def test_units_of_one_dimension_are_converted(value: float, unit: str, other: str, factor: float) -> None:
    assert in_unit(quantity(value, unit), other) == pytest.approx(factor)


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_units_cancel_and_multiply(tokens: float, rate: float) -> None:
    time = quantity(tokens, "Mtoken") / quantity(rate, "token/s")
    assert math.isclose(in_unit(time, "hour"), tokens * 1e6 / rate / 3600)
    assert math.isclose(in_unit(quantity(tokens, "token") / quantity(rate, "token"), "ratio"), tokens / rate)


def test_a_number_of_another_dimension_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="Cannot convert from 'USD'") as refused:
        in_unit(quantity(1, "USD"), "hour")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_what_must_be_positive_is_named_where_it_is_not(value: float) -> None:
    with pytest.raises(ValueError, match=r"^price: expected a number above 0"):
        positive(quantity(value, "USD"), "price")


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_must_not_be_negative_is_named_where_it_is(value: float) -> None:
    with pytest.raises(ValueError, match=r"^time: expected a number of at least 0"):
        not_negative(quantity(value, "hour"), "time")
    assert not_negative(quantity(0, "hour"), "time") == quantity(0, "hour")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (quantity(1234, "token"), "1,234 token"),
        (quantity(3.34, "hour"), "3.34 h"),
        (quantity(4.27, "USD/Mtoken"), "4.27 USD / Mtoken"),
        (quantity(65.6593, "percent"), "65.659 %"),
        (quantity(0.641, "ratio"), "0.641"),
        (quantity(0.0001, "s"), "0.0001 s"),
        (2.5, "2.5"),
        (True, "true"),
        ("fp8", "'fp8'"),
    ],
    ids=str,
)
def test_a_value_is_shown_with_its_unit(value: Any, text: str) -> None:
    assert shown(value) == text
