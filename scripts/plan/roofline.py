"""From what was compiled to time: layers extrapolated, row lengths interpolated, a roofline on the vendor's peaks.

Everything this module returns as a time is predicted. `optimal_seconds` of XLA's cost analysis is not used: it is
sometimes negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

GIB = 2**30


@dataclass(frozen=True)
class StepCost:
    """What one micro-batch costs one chip."""

    arguments_gib: float
    accumulated_gradients_gib: float
    temporaries_gib: float
    peak_gib: float
    flops: float
    memory_traffic_bytes: float
    wire_bytes: float

    @classmethod
    def from_record(cls, compiled: Mapping[str, Any]) -> StepCost:
        """Of what scripts/plan/compile_step.py wrote. The peak holds arguments, results that do not take the place of
        one, and temporaries; the program itself, 0.1 to 0.4 GiB, does not grow with layers and is left out."""
        results = compiled["outputs_bytes"] - compiled["aliased_bytes"]
        peak = compiled["arguments_bytes"] + results + compiled["temporaries_bytes"]
        return cls(
            arguments_gib=compiled["arguments_bytes"] / GIB,
            accumulated_gradients_gib=compiled["arguments_bytes_by_part"]["accumulated_gradients"] / GIB,
            temporaries_gib=compiled["temporaries_bytes"] / GIB,
            peak_gib=peak / GIB,
            flops=compiled["flops"],
            memory_traffic_bytes=compiled["memory_traffic_bytes"],
            wire_bytes=sum(collective["wire_bytes"] for collective in compiled["collectives"]),
        )


def combine(costs: Sequence[StepCost], weights: Sequence[float]) -> StepCost:
    """Field by field the weighted sum of costs."""
    return StepCost(
        **{
            field.name: sum(w * getattr(cost, field.name) for w, cost in zip(weights, costs, strict=True))
            for field in fields(StepCost)
        }
    )


def extrapolate_layers(by_layers: Mapping[int, StepCost], layers: int) -> StepCost:
    """The cost with `layers` layers, linearly from the two numbers of layers that were compiled.

    Both have to hold whole periods of the attention pattern, so that a layer is the same mixture in each.
    """
    (few, cost_few), (more, cost_more) = sorted(by_layers.items())
    t = (layers - few) / (more - few)
    return combine([cost_few, cost_more], [1 - t, t])


def interpolate_row_length(by_length: Mapping[int, StepCost], row_len: int) -> StepCost:
    """The cost at `row_len` by the parabola through three row lengths: matrices grow linearly, attention squared."""
    if row_len in by_length:
        return by_length[row_len]
    lengths = sorted(by_length)
    if len(lengths) != 3:
        raise ValueError(f"three row lengths are needed for {row_len}, found {lengths}")
    weights = []
    for one in lengths:
        weight = 1.0
        for other in lengths:
            if other != one:
                weight *= (row_len - other) / (one - other)
        weights.append(weight)
    return combine([by_length[length] for length in lengths], weights)


@dataclass(frozen=True)
class ChipPeaks:
    """A chip's peaks, per second: FLOP, bytes of memory, bytes it can send to other chips of its slice."""

    flops: float
    memory_bytes: float
    wire_bytes: float

    @classmethod
    def from_hardware(cls, entry: Mapping[str, Any], links_used: int) -> ChipPeaks:
        """Of an entry of resources/hardware.yaml, in a slice where a chip can send on `links_used` of its links."""
        share = links_used / entry["interconnect_links"]
        return cls(
            flops=entry["peak_tflops_bf16"] * 1e12,
            memory_bytes=entry["memory_bandwidth_gb_per_sec"] * 1e9,
            wire_bytes=entry["interconnect_gb_per_sec"] * 1e9 * share,
        )


@dataclass(frozen=True)
class Roofline:
    """Least times of one micro-batch for each resource alone, predicted."""

    compute_sec: float
    memory_sec: float
    collective_sec: float

    @property
    def limit_sec(self) -> float:
        """The slowest resource's time, as if all of them worked side by side without a pause."""
        return max(self.compute_sec, self.memory_sec, self.collective_sec)

    @property
    def bound(self) -> str:
        times = {"compute": self.compute_sec, "memory": self.memory_sec, "collectives": self.collective_sec}
        return max(times, key=lambda name: times[name])


def roofline(cost: StepCost, peaks: ChipPeaks) -> Roofline:
    """Williams, Waterman, Patterson, "Roofline" (2009), with the wire as a third resource."""
    collective_sec = cost.wire_bytes / peaks.wire_bytes if cost.wire_bytes else 0.0
    return Roofline(cost.flops / peaks.flops, cost.memory_traffic_bytes / peaks.memory_bytes, collective_sec)


@dataclass(frozen=True)
class RunPrediction:
    """An epoch's work, predicted. `limit_*` at the roofline; `calibrated_*` at the efficiency that was published."""

    micro_batches: int
    padded_tokens: int
    limit_hours: float
    calibrated_hours: float
    limit_usd: float | None
    calibrated_usd: float | None
    bound: str


def predict_run(
    by_length: Mapping[int, StepCost],
    micro_batches: Mapping[int, int],
    rows: int,
    peaks: ChipPeaks,
    efficiency: float,
    usd_per_hour: float | None,
) -> RunPrediction:
    """The run whose epoch has `micro_batches` micro-batches of each row length, of `rows` rows each.

    `efficiency` is roofline time / real time. Start-up, compilation and checkpoints are not in it.
    """
    times = {length: roofline(interpolate_row_length(by_length, length), peaks) for length in micro_batches}
    limit_hours = sum(count * times[length].limit_sec for length, count in micro_batches.items()) / 3600
    shares: dict[str, float] = {}
    for length, count in micro_batches.items():
        shares[times[length].bound] = shares.get(times[length].bound, 0.0) + count * times[length].limit_sec
    calibrated_hours = limit_hours / efficiency
    return RunPrediction(
        micro_batches=sum(micro_batches.values()),
        padded_tokens=sum(length * count * rows for length, count in micro_batches.items()),
        limit_hours=limit_hours,
        calibrated_hours=calibrated_hours,
        limit_usd=None if usd_per_hour is None else limit_hours * usd_per_hour,
        calibrated_usd=None if usd_per_hour is None else calibrated_hours * usd_per_hour,
        bound=max(shares, key=lambda name: shares[name]),
    )
