"""What serving a Gemma 4 takes of a chip's memory, and the fastest that physics lets it answer.

Bounds, not predictions: a server that beats one of them was measured wrongly. Tensor-parallel serving shards heads
and MLP width over `tensor_parallel_size` chips; a chip holds a whole KV head at least, so that beyond the number of
KV heads the cache no longer shrinks (vLLM repeats heads).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scripts.common.gemma4_shapes import Gemma4Shapes

CacheType = Literal["bfloat16", "fp8"]
BYTES_PER_VALUE: dict[str, int] = {"float32": 4, "bfloat16": 2, "fp8": 1}
GIB = 2**30


@dataclass(frozen=True)
class ServingChoice:
    """`windowed`: sliding-window layers keep their last `sliding_window` tokens only. `memory_share` is the part of a
    chip's memory that the server may fill (vLLM's gpu_memory_utilization)."""

    tensor_parallel_size: int
    weight_type: Literal["bfloat16", "fp8"]
    cache_type: CacheType
    max_model_len_tokens: int
    windowed: bool
    memory_share: float

    def __post_init__(self) -> None:
        if self.tensor_parallel_size < 1 or self.max_model_len_tokens < 1 or not 0 < self.memory_share <= 1:
            raise ValueError("tensor_parallel_size and max_model_len_tokens must be positive, memory_share in (0, 1]")


def weights_bytes_per_chip(shapes: Gemma4Shapes, tensor_parallel_size: int, weight_type: str) -> float:
    """Weights of one chip: all are sharded, but for keys and values beyond one head a chip."""
    repeated = 0.0
    for is_global, layers in ((False, shapes.sliding_layers), (True, shapes.global_layers)):
        heads, dim = _kv_heads(shapes, is_global)
        copies = 1 if is_global and shapes.k_eq_v_global else 2
        extra_heads = _heads_per_chip(heads, tensor_parallel_size) - heads / tensor_parallel_size
        repeated += layers * copies * shapes.width * dim * extra_heads
    return (shapes.parameters() / tensor_parallel_size + repeated) * BYTES_PER_VALUE[weight_type]


def cache_bytes_per_chip(shapes: Gemma4Shapes, context_tokens: int, choice: ServingChoice) -> int:
    """KV cache of one sequence of `context_tokens` on one chip. Keys and values are both kept, also where one matrix
    makes both: keys are rotated and scaled, values are not."""
    kept = min(context_tokens, shapes.sliding_window) if choice.windowed else context_tokens
    values = 0
    for is_global, layers, tokens in (
        (False, shapes.sliding_layers, kept),
        (True, shapes.global_layers, context_tokens),
    ):
        heads, dim = _kv_heads(shapes, is_global)
        values += 2 * layers * tokens * _heads_per_chip(heads, choice.tensor_parallel_size) * dim
    return values * BYTES_PER_VALUE[choice.cache_type]


def concurrent_sequences(shapes: Gemma4Shapes, choice: ServingChoice, hbm_gib: float) -> int:
    """Sequences of max_model_len_tokens that fit beside the weights; 0 where not even one does.

    Activations and compiled programs are left to what `memory_share` leaves free.
    """
    weights = weights_bytes_per_chip(shapes, choice.tensor_parallel_size, choice.weight_type)
    free = choice.memory_share * hbm_gib * GIB - weights
    return max(0, math.floor(free / cache_bytes_per_chip(shapes, choice.max_model_len_tokens, choice)))


def ttft_bound_sec(
    shapes: Gemma4Shapes, input_tokens: int, tensor_parallel_size: int, peak_tflops_per_chip: float
) -> float:
    """Least time to the first token: the prompt's FLOPs, masked pairs skipped and one row of logits, at peak on every
    chip. A prompt whose beginning is in the prefix cache can be faster."""
    flops = shapes.forward_flops(input_tokens, logits=1, skips_masked=True)
    return flops / (tensor_parallel_size * peak_tflops_per_chip * 1e12)


def tpot_bound_sec(
    shapes: Gemma4Shapes,
    context_tokens: int,
    sequences: int,
    choice: ServingChoice,
    memory_bandwidth_gb_per_sec_per_chip: float,
) -> float:
    """Least time per output token of `sequences` at once: a chip's weights read once, each sequence's cache once.

    Of the sliding-window layers no more than the window is ever read, whatever is kept.
    """
    read = ServingChoice(
        choice.tensor_parallel_size, choice.weight_type, choice.cache_type, choice.max_model_len_tokens, True, 1.0
    )
    weights = weights_bytes_per_chip(shapes, choice.tensor_parallel_size, choice.weight_type)
    cache = sequences * cache_bytes_per_chip(shapes, context_tokens, read)
    return (weights + cache) / (memory_bandwidth_gb_per_sec_per_chip * 1e9)


def _kv_heads(shapes: Gemma4Shapes, is_global: bool) -> tuple[int, int]:
    return (shapes.global_kv_heads, shapes.global_head_dim) if is_global else (shapes.kv_heads, shapes.head_dim)


def _heads_per_chip(heads: int, tensor_parallel_size: int) -> int:
    return math.ceil(heads / tensor_parallel_size)
