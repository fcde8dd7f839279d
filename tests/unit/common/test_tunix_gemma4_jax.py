"""Gemma 4's configuration in Tunix, read from config.json, and masks of padded rows."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from tunix.models.gemma4.model import ModelConfig

from scripts.common.errors import UserError
from scripts.common.tunix_gemma4 import model_config

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
    exceptions = {str(i): {"head_dim": 512, "num_key_value_heads": 4} for i in range(5, 60, 6)}
    config = model_config(without_global_keys(**exceptions), "float32")
    assert (config.global_key_size, config.num_global_kv_heads) == (512, 4)


def test_global_layers_of_different_shape_are_refused() -> None:
    with pytest.raises(UserError, match="2 shapes"):
        model_config(without_global_keys(**{"5": {"head_dim": 512}}), "float32")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model_type": "gemma3_text"}, "is not Gemma 4"), ({"enable_moe_block": True}, "enable_moe_block")],
)
def test_other_models_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_config({"text_config": {**PUBLISHED["text_config"], **change}}, "float32")
