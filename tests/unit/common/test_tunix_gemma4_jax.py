"""Gemma 4's configuration in Tunix, read from config.json, and masks of padded rows."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from hypothesis import given, settings
from hypothesis import strategies as st
from tunix.models.gemma4.model import ModelConfig, create_kv_cache_sharing_patterns

from scripts.common.errors import UserError
from scripts.common.tunix_config import model_config, require_preset
from tests.unit.common.published_gemma4 import published

PUBLISHED = json.loads(Path("tests/data/gemma-4-31B-it.config.json").read_text())
FIELDS = [
    "num_layers", "num_embed", "embed_dim", "hidden_dim", "num_heads", "head_dim", "num_kv_heads",
    "num_global_kv_heads", "global_key_size", "sliding_window_size", "k_eq_v_global", "final_logit_softcap",
    "per_layer_input_dim", "frac_shared_layers", "global_rope_proportion", "local_base_frequency",
    "global_base_frequency", "enable_moe",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_the_published_31b_is_tunixs_own_preset(field: str) -> None:
    assert getattr(model_config(PUBLISHED, "bfloat16"), field) == getattr(ModelConfig.gemma4_31b(), field)


def test_layer_types_repeat_tunixs_pattern() -> None:
    preset = ModelConfig.gemma4_31b().attention_pattern
    assert preset is not None
    assert model_config(PUBLISHED, "float32").attention_pattern == preset * 10


def without_global_keys(**per_layer: dict[str, int]) -> dict[str, Any]:
    text = {
        k: v for k, v in PUBLISHED["text_config"].items() if k not in ("global_head_dim", "num_global_key_value_heads")
    }
    return {"text_config": {**text, "per_layer_config": per_layer}}


def test_exceptions_by_layer_say_the_same() -> None:
    exceptions = {f"{i:02d}": {"head_dim": 512, "num_key_value_heads": 4} for i in range(5, 60, 6)}
    config = model_config(without_global_keys(**exceptions), "float32")
    assert (config.global_key_size, config.num_global_kv_heads) == (512, 4)


def test_global_layers_of_different_shape_are_refused() -> None:
    with pytest.raises(UserError, match="2 shapes"):
        model_config(without_global_keys(**{"5": {"head_dim": 512}}), "float32")


@pytest.mark.parametrize("size", ["E2B", "E4B", "26B-A4B", "31B"])
def test_the_published_sizes_are_tunixs_presets(size: str) -> None:
    assert require_preset(model_config(published(size), "bfloat16")) is not None


def test_12b_has_no_preset() -> None:
    assert require_preset(model_config(published("12B"), "bfloat16")) is None


@pytest.mark.parametrize(
    ("size", "change", "message"),
    [
        ("31B", {"intermediate_size": 21500}, "intermediate_size gives Tunix's hidden_dim the value 21500"),
        ("31B", {"sliding_window": 512}, "sliding_window gives Tunix's sliding_window_size the value 512, .* has 1024"),
        ("26B-A4B", {"top_k_experts": 4}, "top_k_experts gives Tunix's num_experts_per_tok the value 4, .* has 8"),
        ("E2B", {"num_kv_shared_layers": 15}, "num_kv_shared_layers"),
        ("E2B", {"use_double_wide_mlp": False}, "use_double_wide_mlp"),
        ("E4B", {"layer_types": (["sliding_attention"] * 2 + ["full_attention"]) * 14}, r"layer_types .* \[2, 5, 8"),
    ],
)
def test_a_published_size_that_differs_from_its_preset_is_named(
    size: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        model_config({**published(size), **change}, "float32")


@pytest.mark.parametrize(
    ("size", "change", "message"),
    [
        ("31B", {"model_type": "gemma3_text"}, "is not Gemma 4"),
        ("31B", {"attention_bias": True}, "attention_bias is True"),
        ("31B", {"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ("31B", {"use_bidirectional_attention": "all"}, "use_bidirectional_attention is 'all'"),
        ("31B", {"hidden_activation": "silu"}, "hidden_activation is 'silu'; Tunix's Gemma 4 knows 'gelu_pytorch"),
        ("E2B", {"vocab_size_per_layer_input": 262}, "vocab_size_per_layer_input is 262"),
        ("E2B", {"num_kv_shared_layers": 19}, "needs a sliding and then a full attention layer"),
    ],
)
def test_what_tunix_cannot_do_is_named(size: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_config({"text_config": {**published(size), **change}}, "float32")


@pytest.mark.parametrize("key", ["num_hidden_layers", "rope_parameters", "layer_types", "attention_k_eq_v"])
def test_a_missing_key_is_named(key: str) -> None:
    text = {name: value for name, value in published("31B").items() if name != key}
    with pytest.raises(UserError, match=f"{key} is missing"):
        model_config(text, "float32")


@settings(deadline=None)
@given(layers=st.integers(4, 120), data=st.data())
def test_tunix_counts_as_many_shared_layers_as_config_json(layers: int, data: st.DataObject) -> None:
    shared = data.draw(st.integers(0, layers - 2))
    unshared = layers - shared
    kinds = ["sliding_attention"] * (unshared - 1) + ["full_attention"] + ["sliding_attention"] * shared
    text = {**published("E2B"), "num_hidden_layers": layers, "layer_types": kinds, "num_kv_shared_layers": shared}
    config = model_config({**text, "hidden_size": 64}, "float32")
    found = create_kv_cache_sharing_patterns(layers, config.frac_shared_layers, True, True, config.attention_pattern)
    assert sum(origin != index for index, origin in enumerate(found)) == shared
