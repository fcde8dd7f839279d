"""Gemma 4 31B's sizes, and serving's memory and bounds, against figures worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import gemma4_shapes
from scripts.common.serving_bounds import (
    ServingChoice,
    cache_bytes_per_chip,
    concurrent_sequences,
    tpot_bound_sec,
    ttft_bound_sec,
    weights_bytes_per_chip,
)

CONFIG = json.loads(Path("resources/models/gemma-4-31B-it.config.json").read_text())
SHAPES = gemma4_shapes(CONFIG)
TPU = ServingChoice(8, "bfloat16", "fp8", 16384, True, 0.9)


def test_the_published_model_has_30_7_billion_parameters() -> None:
    assert SHAPES.parameters() == pytest.approx(30.7e9, rel=1e-3)
    assert (SHAPES.sliding_layers, SHAPES.global_layers) == (50, 10)


def test_the_shipped_config_is_the_tests_copy() -> None:
    assert json.loads(Path("tests/data/gemma-4-31B-it.config.json").read_text()) == CONFIG


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"enable_moe_block": True}, "enable_moe_block"),
        ({"model_type": "gemma3_text"}, "is not Gemma 4"),
        ({"num_kv_shared_layers": 18}, "num_kv_shared_layers"),
    ],
)
def test_a_model_that_tunix_lacks_is_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        gemma4_shapes({"text_config": {**CONFIG["text_config"], **change}})


def test_a_missing_key_is_named() -> None:
    text = {key: value for key, value in CONFIG["text_config"].items() if key != "sliding_window"}
    with pytest.raises(UserError, match="sliding_window is missing"):
        gemma4_shapes({"text_config": text})


def test_weights_a_chip_are_the_papers_7_75_gb() -> None:
    """Section 7.1.3 divides 62 GB by eight; the repeated global KV heads beyond four chips come on top."""
    repeated = 10 * 5376 * 512 * 0.5 * 2
    assert weights_bytes_per_chip(SHAPES, 8, "bfloat16") == pytest.approx(SHAPES.parameters() * 2 / 8 + repeated)
    assert weights_bytes_per_chip(SHAPES, 8, "bfloat16") / 1e9 == pytest.approx(7.75, rel=0.02)


def test_the_cache_of_one_sequence_by_hand() -> None:
    """On eight chips: 2 sliding KV heads of 256 in 50 layers, a global one of 512 in ten, keys and values, a byte."""
    assert cache_bytes_per_chip(SHAPES, 4096, TPU) == 2 * (50 * 1024 * 2 * 256 + 10 * 4096 * 512)
    whole = replace(TPU, windowed=False)
    assert cache_bytes_per_chip(SHAPES, 4096, whole) == 2 * (50 * 4096 * 2 * 256 + 10 * 4096 * 512)
    bfloat16 = replace(TPU, cache_type="bfloat16")
    assert cache_bytes_per_chip(SHAPES, 4096, bfloat16) == 2 * cache_bytes_per_chip(SHAPES, 4096, TPU)


def test_sequences_that_fit_fill_the_memory_and_no_more() -> None:
    fit = concurrent_sequences(SHAPES, TPU, 31.25)
    free = 0.9 * 31.25 * 2**30 - weights_bytes_per_chip(SHAPES, 8, "bfloat16")
    one = cache_bytes_per_chip(SHAPES, 16384, TPU)
    assert fit * one <= free < (fit + 1) * one
    assert concurrent_sequences(SHAPES, replace(TPU, tensor_parallel_size=1), 31.25) == 0


def test_time_to_first_token_is_two_flops_a_weight_at_peak() -> None:
    """4,096 tokens: 2 x 29.3e9 x 4096 FLOPs of matrices and a few per cent of attention on 8 x 918 TFLOP/s."""
    matrices = 2 * SHAPES.matrix_parameters() * 4096 / (8 * 918e12)
    assert matrices < ttft_bound_sec(SHAPES, 4096, 8, 918) < 1.06 * matrices


def test_time_per_token_is_the_weights_read_once() -> None:
    weights = weights_bytes_per_chip(SHAPES, 8, "bfloat16") / 1640e9
    assert weights < tpot_bound_sec(SHAPES, 512, 1, TPU, 1640) < 1.02 * weights


@given(st.integers(1, 50_000), st.integers(1, 50_000), st.sampled_from([1, 2, 4, 8]))
def test_more_context_is_never_cheaper(short: int, more: int, tp: int) -> None:
    choice = replace(TPU, tensor_parallel_size=tp)
    longer = short + more
    assert cache_bytes_per_chip(SHAPES, longer, choice) > cache_bytes_per_chip(SHAPES, short, choice)
    assert ttft_bound_sec(SHAPES, longer, tp, 918) > ttft_bound_sec(SHAPES, short, tp, 918)
    assert tpot_bound_sec(SHAPES, longer, 4, choice, 1640) > tpot_bound_sec(SHAPES, short, 4, choice, 1640)


@given(st.integers(1, 5000))
def test_masked_pairs_are_counted_one_by_one(row_len: int) -> None:
    window = SHAPES.sliding_window
    sliding = sum(min(i, window) for i in range(1, row_len + 1))
    everything = sum(range(1, row_len + 1))
    expected = 4 * 32 * (50 * 256 * sliding + 10 * 512 * everything)
    assert SHAPES.attention_flops(row_len, skips_masked=True) == expected
    assert SHAPES.attention_flops(row_len, skips_masked=False) >= expected
