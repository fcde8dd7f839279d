"""Extrapolation, interpolation and the roofline against laws they must follow."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.plan.roofline import (
    ChipPeaks,
    StepCost,
    extrapolate_layers,
    interpolate_row_length,
    predict_run,
    roofline,
)

V5P = {
    "peak_tflops_bf16": 459,
    "memory_bandwidth_gb_per_sec": 2765,
    "interconnect_gb_per_sec": 600,
    "interconnect_links": 6,
}


def cost(value: float) -> StepCost:
    return StepCost(*[value] * 7)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 100))
def test_what_grows_linearly_with_layers_is_met_exactly(base: float, slope: float, layers: int) -> None:
    whole = extrapolate_layers({6: cost(base + 6 * slope), 12: cost(base + 12 * slope)}, layers)
    assert astuple(whole) == pytest.approx([base + layers * slope] * 7, rel=1e-6, abs=1e-3)


@given(st.floats(0, 100), st.floats(0, 1), st.floats(0, 1e-3), st.integers(64, 3072))
def test_a_parabola_is_met_exactly(base: float, linear: float, squared: float, row_len: int) -> None:
    def truth(n: int) -> float:
        return base + linear * n + squared * n * n

    found = interpolate_row_length({n: cost(truth(n)) for n in (1024, 2048, 3072)}, row_len)
    assert found.flops == pytest.approx(truth(row_len), rel=1e-6, abs=1e-6)


def test_one_row_length_answers_for_itself_only() -> None:
    assert interpolate_row_length({3072: cost(1)}, 3072) == cost(1)
    with pytest.raises(ValueError, match="three row lengths"):
        interpolate_row_length({3072: cost(1)}, 1024)


def test_the_slowest_resource_is_the_limit() -> None:
    peaks = ChipPeaks.from_hardware(V5P, links_used=2)
    assert peaks.wire_bytes == 200e9
    step = StepCost(0, 0, 0, 0, flops=459e12, memory_traffic_bytes=2765e9 / 2, wire_bytes=200e9 * 3)
    times = roofline(step, peaks)
    assert (times.compute_sec, times.memory_sec, times.collective_sec) == (1.0, 0.5, 3.0)
    assert (times.limit_sec, times.bound) == (3.0, "collectives")


def test_a_run_is_the_sum_of_its_micro_batches() -> None:
    peaks = ChipPeaks(1.0, 1e30, 1e30)
    costs = {length: StepCost(0, 0, 0, 0, 3600.0 * length, 1, 1) for length in (1, 2, 3)}
    run = predict_run(costs, {1: 2, 3: 1}, rows=2, peaks=peaks, efficiency=0.5, usd_per_hour=10)
    assert (run.limit_hours, run.calibrated_hours) == (5.0, 10.0)
    assert (run.limit_usd, run.calibrated_usd) == (50.0, 100.0)
    assert (run.micro_batches, run.padded_tokens, run.bound) == (3, 2 * (2 + 3), "compute")
