"""The functions that formulas in resources/paper may call: physics of the hardware, the model's sizes, statistics.

All take and give pint quantities. Hardware entries and the model's config.json are this project's, not the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scripts.common.gemma4_shapes import Gemma4Shapes
from scripts.common.serving_bounds import (
    ServingChoice,
    cache_bytes_per_chip,
    tpot_bound_sec,
    ttft_bound_sec,
    weights_bytes_per_chip,
)
from scripts.common.units import in_unit, quantity

HARDWARE_UNITS = {
    "chips": "chip",
    "hbm_gib": "GiB/chip",
    "peak_tflops_bf16": "TFLOP/s/chip",
    "memory_bandwidth_gb_per_sec": "GB/s/chip",
    "interconnect_gb_per_sec": "GB/s",
}
MODEL_UNITS = {
    "layers": "layer",
    "sliding_layers": "layer",
    "global_layers": "layer",
    "query_heads": "head",
    "kv_heads": "head",
    "global_kv_heads": "head",
    "head_dim": "dim",
    "global_head_dim": "dim",
}


@dataclass(frozen=True)
class Formulas:
    """`hardware`: entries of resources/hardware.yaml by name. `text_config`: the text part of
    the model's config.json, and `shapes` what it says."""

    hardware: Mapping[str, Mapping[str, Any]]
    shapes: Gemma4Shapes
    text_config: Mapping[str, Any]

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """By the name that a formula calls them."""
        return {
            "floor": floor,
            "nearest_count": nearest_count,
            "two_proportions_z": two_proportions_z,
            "hardware": self.of_hardware,
            "axes": axes,
            "config": self.of_config,
            "model": self.of_model,
            "model_weights": self.model_weights,
            "weights_per_chip": self.weights_per_chip,
            "cache_per_sequence": self.cache_per_sequence,
            "arrival_time": arrival_time,
            "answer_time": answer_time,
            "most_throughput": most_throughput,
            "ttft_bound": self.ttft_bound,
            "burst_median_ttft_bound": self.burst_median_ttft_bound,
            "tpot_bound": self.tpot_bound,
            "training_bound": self.training_bound,
        }

    def of_hardware(self, entry: str, key: str) -> Any:
        """A number of an entry of resources/hardware.yaml, a chip's where it is one of a chip."""
        if entry not in self.hardware:
            raise ValueError(f"{entry!r} is no entry of resources/hardware.yaml")
        if key not in HARDWARE_UNITS or self.hardware[entry].get(key) is None:
            raise ValueError(f"{entry}.{key}: not known, or no number")
        return quantity(float(self.hardware[entry][key]), HARDWARE_UNITS[key])

    def of_model(self, key: str) -> Any:
        """A size of the model, from its config.json."""
        if key not in MODEL_UNITS:
            raise ValueError(f"{key!r}: expected one of {list(MODEL_UNITS)}")
        return quantity(float(getattr(self.shapes, key)), MODEL_UNITS[key])

    def of_config(self, key: str) -> Any:
        """A number or a truth of the model's config.json."""
        if key not in self.text_config:
            raise ValueError(f"{key!r} is not in the model's config.json")
        return self.text_config[key]

    def model_weights(self) -> Any:
        """The text model's weights in bfloat16 [GB]."""
        return quantity(self.shapes.parameters() * 2 / 1e9, "GB")

    def weights_per_chip(self, tensor_parallel: Any) -> Any:
        """The least that one chip holds of the weights in bfloat16, sharded over `tensor_parallel` chips [GB/chip]."""
        chips = round(in_unit(tensor_parallel, "chip"))
        return quantity(weights_bytes_per_chip(self.shapes, chips, "bfloat16") / 1e9, "GB/chip")

    def cache_per_sequence(self, entry: str, tokens: Any, cache_type: str) -> Any:
        """KV cache of one sequence of `tokens` on all chips of `entry`, every layer's kept in full [GB/request]."""
        count = round(in_unit(tokens, "token/request"))
        choice = self._choice(entry, cache_type, count, windowed=False)
        cache_bytes = self.hardware[entry]["chips"] * cache_bytes_per_chip(self.shapes, count, choice)
        return quantity(cache_bytes / 1e9, "GB/request")

    def ttft_bound(self, entry: str, input_tokens: Any) -> Any:
        """Least time to the first token of one prompt alone: its FLOPs at peak on every chip [s]."""
        machine = self.hardware[entry]
        tokens = round(in_unit(input_tokens, "token/request"))
        return quantity(ttft_bound_sec(self.shapes, tokens, machine["chips"], machine["peak_tflops_bf16"]), "s")

    def burst_median_ttft_bound(self, entry: str, input_tokens: Any, prompts: Any) -> Any:
        """Least median time to first token of `prompts` sent at once [s]: whatever the order, at the time of the n-th
        first token the FLOPs of n prompts were done."""
        count = in_unit(prompts, "request")
        middle = (math.floor((count + 1) / 2) + math.ceil((count + 1) / 2)) / 2
        return self.ttft_bound(entry, input_tokens) * middle

    def tpot_bound(self, entry: str, context_tokens: Any, cache_type: str) -> Any:
        """Least time per output token of one request: the weights and its cache read once, at full bandwidth [s]."""
        machine = self.hardware[entry]
        tokens = round(in_unit(context_tokens, "token/request"))
        choice = self._choice(entry, cache_type, tokens, windowed=True)
        return quantity(tpot_bound_sec(self.shapes, tokens, 1, choice, machine["memory_bandwidth_gb_per_sec"]), "s")

    def training_bound(self, entry: str, row_tokens: Any) -> Any:
        """Least time of one sample of `row_tokens` in LoRA training at peak FLOP/s on every chip [s/sample].

        Forward, and back through the activations: twice the forward pass. Gradients of LoRA's factors, optimizer and
        rematerialisation are left out.
        """
        machine = self.hardware[entry]
        tokens = round(in_unit(row_tokens, "token/sample"))
        flops = 2 * self.shapes.forward_flops(tokens, logits=tokens, skips_masked=True)
        return quantity(flops / (machine["chips"] * machine["peak_tflops_bf16"] * 1e12), "s/sample")

    def _choice(self, entry: str, cache_type: str, tokens: int, *, windowed: bool) -> ServingChoice:
        kind: Literal["fp8", "bfloat16"] = "fp8" if cache_type == "fp8" else "bfloat16"
        return ServingChoice(self.hardware[entry]["chips"], "bfloat16", kind, tokens, windowed, 1.0)


def axes(shape: str) -> Any:
    """How many axes a shape has, as it is printed: "(in, rank)" has two."""
    return quantity(len(shape.split(",")), "dim")


def arrival_time(prompts: Any, rate: Any) -> Any:
    """From the first to the last of `prompts` that are sent at `rate`, on average [s]."""
    return quantity((in_unit(prompts, "request") - 1) / in_unit(rate, "request/s"), "s")


def answer_time(ttft: Any, tpot: Any, output_tokens: Any) -> Any:
    """From a request to the end of its answer of `output_tokens` [s]."""
    later_tokens = in_unit(output_tokens, "token/request") - 1
    return quantity(in_unit(ttft, "s") + later_tokens * in_unit(tpot, "s"), "s")


def most_throughput(prompts: Any, tpot: Any) -> Any:
    """Output tokens a second of `prompts` that are all answered at once, a token each in `tpot` [token/s]."""
    return quantity(in_unit(prompts, "request") / in_unit(tpot, "s"), "token/s")


def floor(value: Any) -> Any:
    """The greatest whole number of the value's unit that is not above it."""
    units = getattr(value, "units", None)
    number = math.floor((value.magnitude if units is not None else value) + 1e-9)
    return number if units is None else quantity(number, str(units))


def nearest_count(share: Any, of: Any) -> Any:
    """The share that some whole number of `of` things makes, nearest to `share`: what a share of them can be."""
    total = of.magnitude
    count = min(max(0, round(in_unit(share, "ratio") * total)), total)
    return quantity(count / total, "ratio")


def two_proportions_z(first: Any, second: Any, independent_trials: Any) -> Any:
    """Standard errors between two shares of `independent_trials` trials each (pooled two-proportion z test)."""
    one, two = in_unit(first, "ratio"), in_unit(second, "ratio")
    pooled = (one + two) / 2
    error = math.sqrt(pooled * (1 - pooled) * 2 / independent_trials.magnitude)
    return quantity(abs(one - two) / error, "ratio")
