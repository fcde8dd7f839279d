"""Expected paid time of interrupted work: against a simulation of the interruptions themselves, and its limits."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.units import Quantity, quantity
from scripts.cost.interruptions import paid_time, productive_share

works = st.floats(0.1, 100)
intervals = st.floats(0.05, 5)
restarts = st.floats(0, 1)
rates = st.floats(0.001, 2)


def hours(value: float) -> Quantity:
    return quantity(value, "hour")


def expected(work: float, interval: float, restart: float, rate: float) -> float:
    return float(paid_time(hours(work), hours(interval), hours(restart), quantity(rate, "1/hour")).m_as("hour"))


def simulated(work: float, interval: float, restart: float, rate: float, dice: random.Random) -> float:
    """Paid hours of one run, hour by hour of the clock: work, lose what is not saved, start again, until done."""
    clock = saved = 0.0
    starting = 0.0
    interruption = dice.expovariate(rate)
    while saved < work:
        stretch = starting + min(interval, work - saved)
        if clock + stretch <= interruption:
            clock, starting = clock + stretch, 0.0
            saved += min(interval, work - saved)
        else:
            clock, starting = interruption, restart
            interruption = clock + dice.expovariate(rate)
    return clock


@pytest.mark.parametrize(
    ("work", "interval", "restart", "rate"),
    [(3.34, 0.27, 0.15, 0.5), (5.0, 2.0, 0.1, 0.3), (1.0, 4.0, 0.5, 1.0), (2.5, 1.0, 0.0, 1.0)],
    ids=["the paper's run, often interrupted", "a remainder", "no checkpoint at all", "restart for nothing"],
)
def test_it_is_the_mean_of_simulated_runs(work: float, interval: float, restart: float, rate: float) -> None:
    dice = random.Random(0)
    runs = [simulated(work, interval, restart, rate, dice) for _ in range(20_000)]
    error = statistics.stdev(runs) / math.sqrt(len(runs))
    assert abs(statistics.fmean(runs) - expected(work, interval, restart, rate)) < 4 * error


@given(works, intervals, restarts)
def test_without_interruptions_it_is_the_work(work: float, interval: float, restart: float) -> None:
    assert expected(work, interval, restart, 0.0) == work
    assert math.isclose(expected(work, interval, restart, 1e-9), work, rel_tol=1e-6)


@given(works, intervals, restarts, rates, st.floats(1.01, 3))
def test_it_grows_with_interruptions_restart_and_work(
    work: float, interval: float, restart: float, rate: float, factor: float
) -> None:
    time = expected(work, interval, restart, rate)
    assert time >= work
    assert expected(work, interval, restart, rate * factor) > time
    assert expected(work, interval, restart + 0.1, rate) > time
    assert expected(work * factor, interval, restart, rate) > time


@given(st.integers(1, 50), intervals, restarts, rates)
def test_halving_the_interval_never_costs_more_where_saving_is_free(
    stretches: int, interval: float, restart: float, rate: float
) -> None:
    work = stretches * interval
    assert expected(work, interval / 2, restart, rate) <= expected(work, interval, restart, rate) * (1 + 1e-9)


def test_to_first_order_it_is_young_s_estimate() -> None:
    """Each interruption loses half an interval and a restart, on average."""
    work, interval, restart, rate = 100.0, 0.5, 0.1, 0.001
    young = work * (1 + rate * (interval / 2 + restart))
    assert expected(work, interval, restart, rate) - work == pytest.approx(young - work, rel=1e-3)


@given(st.floats(0.5, 10), restarts, rates)
def test_a_server_is_work_that_is_saved_at_once(time: float, restart: float, rate: float) -> None:
    share = productive_share(hours(restart), quantity(rate, "1/hour"))
    assert 0 < share <= 1
    assert math.isclose(time / share, expected(time, 1e-5, restart, rate), rel_tol=1e-4)


def test_a_stretch_that_never_ends_is_no_number() -> None:
    with pytest.raises(OverflowError):
        expected(1000, 1000, 0.1, 2.0)
