"""Cost is price times time: laws that hold for all values, units that cannot be mixed, and the paper's own numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.units import Quantity, quantity
from scripts.cost import formulas
from scripts.cost.formulas import CostLine, break_even

prices = st.floats(0.001, 1000)
times = st.floats(0, 10_000)
amounts = st.floats(0.001, 1e9)
factors = st.floats(1.001, 100)
shares = st.floats(0.01, 1)


def hours(value: float) -> Quantity:
    return quantity(value, "hour")


def usd(value: float) -> Quantity:
    return quantity(value, "USD")


def hourly(value: float) -> Quantity:
    return quantity(value, "USD/hour")


def rate(value: float) -> Quantity:
    return quantity(value, "token/second")


def millions(value: float) -> Quantity:
    return quantity(value, "Mtoken")


@given(times, prices, factors)
def test_rent_grows_with_price_and_with_time(time: float, price: float, factor: float) -> None:
    cost = formulas.rent(hours(time + 0.001), hourly(price))
    assert formulas.rent(hours(time + 0.001), hourly(price * factor)) > cost
    assert formulas.rent(hours((time + 0.001) * factor), hourly(price)) > cost


@given(times, times, prices)
def test_two_rents_cost_what_each_costs(first: float, second: float, price: float) -> None:
    parts = formulas.rent(hours(first), hourly(price)) + formulas.rent(hours(second), hourly(price))
    whole = formulas.rent(hours(first + second), hourly(price))
    assert math.isclose(whole.m_as("USD"), parts.m_as("USD"), abs_tol=1e-9)


@given(st.floats(0.001, 1e7), prices)
def test_seconds_and_hours_cost_the_same(seconds: float, price: float) -> None:
    by_second = formulas.rent(quantity(seconds, "second"), hourly(price))
    assert math.isclose(by_second.m_as("USD"), formulas.rent(hours(seconds / 3600), hourly(price)).m_as("USD"))


@given(amounts, prices, factors)
def test_tokens_get_cheaper_with_throughput_and_dearer_with_price(tokens: float, price: float, factor: float) -> None:
    cost = formulas.price_of_output(rate(tokens), hourly(price))
    assert formulas.price_of_output(rate(tokens * factor), hourly(price)) < cost
    assert formulas.price_of_output(rate(tokens), hourly(price * factor)) > cost


@given(amounts, prices, st.floats(0.01, 1000))
def test_price_per_token_is_the_same_from_a_rate_and_from_a_bill(tokens: float, price: float, time: float) -> None:
    bill = formulas.rent(hours(time), hourly(price))
    written = rate(tokens) * hours(time)
    per_token = formulas.price_per_token(bill, written).m_as("USD/Mtoken")
    assert math.isclose(per_token, formulas.price_of_output(rate(tokens), hourly(price)).m_as("USD/Mtoken"))


@given(amounts, st.floats(0.001, 1e6), shares)
def test_serving_time_is_linear_in_tokens_and_inverse_in_utilisation(
    tokens: float, volume: float, share: float
) -> None:
    full = formulas.serving_time(millions(volume), rate(tokens), 1.0).m_as("hour")
    assert math.isclose(formulas.serving_time(millions(2 * volume), rate(tokens), 1.0).m_as("hour"), 2 * full)
    assert math.isclose(formulas.serving_time(millions(volume), rate(tokens), share).m_as("hour"), full / share)


@given(times, times, times, prices)
def test_ownership_adds_up_and_grows(training: float, first: float, second: float, price: float) -> None:
    whole = formulas.total_cost(usd(training), hours(first + second), hourly(price))
    part = formulas.total_cost(usd(training), hours(first), hourly(price))
    assert math.isclose(whole.m_as("USD"), (part + hours(second) * hourly(price)).m_as("USD"), abs_tol=1e-9)
    assert formulas.total_cost(usd(training), hours(first + 1), hourly(price)) > part
    assert formulas.total_cost(usd(training), hours(0), hourly(price)) == usd(training)


# Nothing, or a sum that someone could pay: 5e-324 USD over 2 USD/hour is no time at all in floating point.
fixed = st.just(0.0) | st.floats(1e-6, 1e4)
slopes = st.floats(0.01, 100)


@given(fixed, slopes, fixed, slopes)
def test_at_the_break_even_both_cost_the_same(a: float, p: float, b: float, q: float) -> None:
    lines = CostLine(usd(a), hourly(p)), CostLine(usd(b), hourly(q))
    point = break_even(*lines)
    if point.at is None:
        assert point.cheaper_before == point.cheaper_after
        return
    first, second = (formulas.total_cost(line.fixed, point.at, line.slope).m_as("USD") for line in lines)
    assert math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-9)
    assert {point.cheaper_before, point.cheaper_after} == {"first", "second"}


@given(fixed, slopes, fixed, slopes, st.floats(0.001, 0.999), st.floats(1.001, 1000))
def test_the_cheaper_arm_is_cheaper_by_the_totals(
    a: float, p: float, b: float, q: float, below: float, above: float
) -> None:
    lines = CostLine(usd(a), hourly(p)), CostLine(usd(b), hourly(q))
    point = break_even(*lines)

    def first_minus_second(time: float) -> float:
        first, second = (formulas.total_cost(line.fixed, hours(time), line.slope).m_as("USD") for line in lines)
        return float(first - second)

    meeting = 1.0 if point.at is None else point.at.m_as("hour")
    for time, cheaper in ((below * meeting, point.cheaper_before), (above * meeting, point.cheaper_after)):
        scale = a + b + (p + q) * time
        difference = first_minus_second(time)
        assert difference <= 1e-9 * scale if cheaper == "first" else difference >= -1e-9 * scale


@given(fixed, slopes, fixed, slopes)
def test_the_order_of_the_arms_does_not_matter(a: float, p: float, b: float, q: float) -> None:
    one, other = CostLine(usd(a), hourly(p)), CostLine(usd(b), hourly(q))
    there, back = break_even(one, other), break_even(other, one)
    assert (there.at is None) == (back.at is None)
    assert there.at is None or there.at == back.at
    swapped = {"first": "second", "second": "first", None: None}
    assert (there.cheaper_before, there.cheaper_after) == (swapped[back.cheaper_before], swapped[back.cheaper_after])


@pytest.mark.parametrize(
    ("first", "second", "cheaper"),
    [
        ((56, 21), (119, 21), "first"),  # equal slopes
        ((56, 21), (56, 22), "first"),  # equal starts
        ((56, 21), (119, 22), "first"),  # ahead in both
        ((119, 22), (56, 21), "second"),
        ((0, 21), (0, 21), None),  # the same line, untuned
    ],
)
def test_lines_that_never_meet_have_no_break_even(
    first: tuple[float, float], second: tuple[float, float], cheaper: str | None
) -> None:
    lines = [CostLine(usd(start), hourly(slope)) for start, slope in (first, second)]
    assert break_even(lines[0], lines[1]) == formulas.BreakEven(None, cheaper, cheaper)


def test_the_paper_s_arms_break_even_in_tokens_at_short_context_and_never_in_hours() -> None:
    """Sections 5.4, 8.6 and 9: the TPU starts cheaper, and the GPU's short-context tokens are cheaper."""
    tpu, gpu = usd(56.11), usd(119.23)
    assert break_even(CostLine(tpu, hourly(21.52)), CostLine(gpu, hourly(22.12))).at is None
    per_token = [formulas.price_of_output(rate(r), hourly(p)) for r, p in ((1403, 21.52), (1490, 22.12))]
    point = break_even(CostLine(tpu, per_token[0]), CostLine(gpu, per_token[1]))
    assert (point.cheaper_before, point.cheaper_after) == ("first", "second")
    assert point.at is not None
    assert point.at.m_as("Mtoken") == pytest.approx(63.12 / (21.52 / 5.0508 - 22.12 / 5.364), rel=1e-3)


@pytest.mark.parametrize(
    ("time", "price", "printed"), [(3.34, 16.80, 56.11), (5.39, 22.12, 119.23)], ids=["TPU", "GPU"]
)
def test_training_costs_of_section_5_4(time: float, price: float, printed: float) -> None:
    assert round(formulas.rent(hours(time), hourly(price)).m_as("USD"), 2) == printed


@pytest.mark.parametrize(
    ("tokens", "price", "recomputed", "printed"),
    [
        (1403, 21.52, 4.26, 4.27),
        (1490, 22.12, 4.12, 4.13),
        (1206, 21.52, 4.96, 4.95),
        (728, 22.12, 8.44, 8.44),
    ],
)
def test_token_prices_of_section_8_6_are_the_parts_within_a_cent_or_so(
    tokens: float, price: float, recomputed: float, printed: float
) -> None:
    found = formulas.price_of_output(rate(tokens), hourly(price)).m_as("USD/Mtoken")
    assert round(found, 2) == recomputed
    assert abs(found - printed) < 0.012


def test_tokens_an_hour_of_section_8_6() -> None:
    assert round(rate(1403).m_as("Mtoken/hour"), 2) == 5.05
    assert round(rate(728).m_as("Mtoken/hour"), 2) == 2.62


@pytest.mark.parametrize(
    ("training", "time", "price", "printed"),
    [
        (56.11, 1, 21.52, 77.63),
        (119.23, 1, 22.12, 141.35),
        (56.11, 8, 21.52, 228.27),
        (119.23, 8, 22.12, 296.19),
        (56.11, 24, 21.52, 572.59),
        (119.23, 24, 22.12, 650.11),
    ],
)
def test_ownership_of_section_9(training: float, time: float, price: float, printed: float) -> None:
    assert round(formulas.total_cost(usd(training), hours(time), hourly(price)).m_as("USD"), 2) == printed


@pytest.mark.parametrize(
    "call",
    [
        lambda: formulas.rent(hourly(22.12), hours(5.39)),
        lambda: formulas.rent(hours(1), usd(1)),
        lambda: formulas.price_per_token(usd(1), hours(1)),
        lambda: formulas.price_of_output(rate(1), quantity(1, "USD/Mtoken")),
        lambda: formulas.price_of_output(quantity(1, "token/USD"), hourly(1)),
        lambda: formulas.total_cost(hours(1), hours(1), hourly(1)),
        lambda: formulas.serving_time(hours(1), rate(1), 1.0),
        lambda: formulas.price_per_problem(millions(1), hourly(1), quantity(1, "problem")),
        lambda: break_even(CostLine(usd(1), hourly(1)), CostLine(usd(1), quantity(1, "USD/Mtoken"))),
    ],
)
def test_mixed_units_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(pint.DimensionalityError):
        call()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: formulas.rent(hours(1), hourly(0)), "price"),
        (lambda: formulas.rent(hours(-1), hourly(1)), "time"),
        (lambda: formulas.rent(hours(1), hourly(math.nan)), "price"),
        (lambda: formulas.price_of_output(rate(0), hourly(1)), "throughput"),
        (lambda: formulas.serving_time(millions(1), rate(0), 1.0), "throughput"),
        (lambda: formulas.price_per_token(usd(1), millions(0)), "tokens"),
        (lambda: formulas.price_per_problem(millions(1), quantity(1, "USD/token"), quantity(0, "problem")), "solved"),
        (lambda: formulas.total_cost(usd(1), hours(math.inf), hourly(1)), "time"),
    ],
)
def test_impossible_quantities_are_refused_by_name(call: Callable[[], Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected a number"):
        call()


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, math.nan])
def test_a_utilisation_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match=r"^utilisation: expected a share"):
        formulas.serving_time(millions(1), rate(1), share)
