"""Cost is price times time: laws that hold for all values, and the paper's own numbers as worked examples."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.cost import formulas

prices = st.floats(0.001, 1000)
times = st.floats(0, 10_000)
amounts = st.floats(0.001, 1e9)
factors = st.floats(1.001, 100)


@given(times, prices, factors)
def test_training_cost_grows_with_price_and_with_time(hours: float, price: float, factor: float) -> None:
    cost = formulas.training_cost_usd(hours + 0.001, price)
    assert formulas.training_cost_usd(hours + 0.001, price * factor) > cost
    assert formulas.training_cost_usd((hours + 0.001) * factor, price) > cost


@given(times, times, prices)
def test_two_runs_cost_what_each_costs(first: float, second: float, price: float) -> None:
    parts = formulas.training_cost_usd(first, price) + formulas.training_cost_usd(second, price)
    assert math.isclose(formulas.training_cost_usd(first + second, price), parts, abs_tol=1e-9)


@given(st.floats(0, 1e7))
def test_seconds_and_hours_are_the_same_time(seconds: float) -> None:
    assert math.isclose(formulas.hours(seconds) * 3600, seconds, abs_tol=1e-9)


@given(amounts, prices, factors)
def test_tokens_get_cheaper_with_throughput_and_dearer_with_price(rate: float, price: float, factor: float) -> None:
    cost = formulas.usd_per_million_tokens(rate, price)
    assert formulas.usd_per_million_tokens(rate * factor, price) < cost
    assert formulas.usd_per_million_tokens(rate, price * factor) > cost


@given(amounts, prices, st.floats(0.01, 1000))
def test_price_per_token_is_the_same_from_a_rate_and_from_a_bill(rate: float, price: float, hours: float) -> None:
    bill = formulas.training_cost_usd(hours, price)
    tokens = formulas.tokens_per_hour(rate) * hours
    assert math.isclose(formulas.usd_per_million(bill, tokens), formulas.usd_per_million_tokens(rate, price))


@given(times, times, times, prices)
def test_ownership_adds_up_and_grows(training: float, first: float, second: float, price: float) -> None:
    whole = formulas.tco_usd(training, first + second, price)
    assert math.isclose(whole, formulas.tco_usd(training, first, price) + second * price, abs_tol=1e-9)
    assert formulas.tco_usd(training, first + 1, price) > formulas.tco_usd(training, first, price)
    assert formulas.tco_usd(training, 0, price) == training


@pytest.mark.parametrize(
    ("hours", "usd_per_hour", "printed"), [(3.34, 16.80, 56.11), (5.39, 22.12, 119.23)], ids=["TPU", "GPU"]
)
def test_training_costs_of_section_5_4(hours: float, usd_per_hour: float, printed: float) -> None:
    assert round(formulas.training_cost_usd(hours, usd_per_hour), 2) == printed


@pytest.mark.parametrize(
    ("tokens_per_sec", "usd_per_hour", "recomputed", "printed"),
    [
        (1403, 21.52, 4.26, 4.27),
        (1490, 22.12, 4.12, 4.13),
        (1206, 21.52, 4.96, 4.95),
        (728, 22.12, 8.44, 8.44),
    ],
)
def test_token_prices_of_section_8_6_are_the_parts_within_a_cent_or_so(
    tokens_per_sec: float, usd_per_hour: float, recomputed: float, printed: float
) -> None:
    found = formulas.usd_per_million_tokens(tokens_per_sec, usd_per_hour)
    assert round(found, 2) == recomputed
    assert abs(found - printed) < 0.012


def test_tokens_an_hour_of_section_8_6() -> None:
    assert round(formulas.tokens_per_hour(1403) / 1e6, 2) == 5.05
    assert round(formulas.tokens_per_hour(728) / 1e6, 2) == 2.62


@pytest.mark.parametrize(
    ("training", "hours", "usd_per_hour", "printed"),
    [
        (56.11, 1, 21.52, 77.63),
        (119.23, 1, 22.12, 141.35),
        (56.11, 8, 21.52, 228.27),
        (119.23, 8, 22.12, 296.19),
        (56.11, 24, 21.52, 572.59),
        (119.23, 24, 22.12, 650.11),
    ],
)
def test_ownership_of_section_9(training: float, hours: float, usd_per_hour: float, printed: float) -> None:
    assert round(formulas.tco_usd(training, hours, usd_per_hour), 2) == printed


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: formulas.training_cost_usd(1, 0), "usd_per_hour"),
        (lambda: formulas.training_cost_usd(-1, 1), "train_hours"),
        (lambda: formulas.training_cost_usd(1, math.nan), "usd_per_hour"),
        (lambda: formulas.usd_per_million_tokens(0, 1), "tokens_per_sec"),
        (lambda: formulas.usd_per_million(1, 0), "tokens"),
        (lambda: formulas.tco_usd(1, math.inf, 1), "serving_hours"),
        (lambda: formulas.hours(-1), "seconds"),
    ],
)
def test_impossible_quantities_are_refused_by_name(call: Callable[[], float], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected a number"):
        call()
