"""The text configurations of the published Gemma 4 checkpoints, and of each family a shrunken one with all of its kinds
of layer. Values are those of the checkpoints' config.json; 31B's is whole in tests/data."""

import json
from pathlib import Path
from typing import Any

_SLIDING, _FULL = "sliding_attention", "full_attention"
_COMMON: dict[str, Any] = {
    "model_type": "gemma4_text",
    "vocab_size": 262144,
    "head_dim": 256,
    "global_head_dim": 512,
    "num_global_key_value_heads": None,
    "attention_bias": False,
    "attention_k_eq_v": False,
    "enable_moe_block": False,
    "final_logit_softcapping": 30.0,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size_per_layer_input": 0,
    "num_kv_shared_layers": 0,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {
        _FULL: {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
        _SLIDING: {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "tie_word_embeddings": True,
    "use_bidirectional_attention": None,
    "use_double_wide_mlp": False,
}
_SIZES: dict[str, dict[str, Any]] = {
    "E2B": {
        "num_hidden_layers": 35,
        "layer_types": ([_SLIDING] * 4 + [_FULL]) * 7,
        "hidden_size": 1536,
        "intermediate_size": 6144,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "sliding_window": 512,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262144,
        "num_kv_shared_layers": 20,
        "use_double_wide_mlp": True,
    },
    "E4B": {
        "num_hidden_layers": 42,
        "layer_types": ([_SLIDING] * 5 + [_FULL]) * 7,
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "sliding_window": 512,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262144,
        "num_kv_shared_layers": 18,
    },
    "12B": {
        "model_type": "gemma4_unified_text",
        "num_hidden_layers": 48,
        "layer_types": ([_SLIDING] * 5 + [_FULL]) * 8,
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "sliding_window": 1024,
    },
    "26B-A4B": {
        "num_hidden_layers": 30,
        "layer_types": ([_SLIDING] * 5 + [_FULL]) * 5,
        "hidden_size": 2816,
        "intermediate_size": 2112,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 2,
        "attention_k_eq_v": True,
        "enable_moe_block": True,
        "num_experts": 128,
        "top_k_experts": 8,
        "moe_intermediate_size": 704,
        "sliding_window": 1024,
    },
}
# Kinds of layer kept, sizes small; two periods where the second shares the keys and values of the first.
_SHRUNKEN: dict[str, dict[str, Any]] = {
    "E2B": {"num_hidden_layers": 10, "layer_types": ([_SLIDING] * 4 + [_FULL]) * 2, "num_kv_shared_layers": 5},
    "E4B": {"num_hidden_layers": 12, "layer_types": ([_SLIDING] * 5 + [_FULL]) * 2, "num_kv_shared_layers": 6},
    "12B": {"num_hidden_layers": 6, "layer_types": [_SLIDING] * 5 + [_FULL]},
    "26B-A4B": {
        "num_hidden_layers": 6,
        "layer_types": [_SLIDING] * 5 + [_FULL],
        "num_experts": 8,
        "top_k_experts": 2,
        "moe_intermediate_size": 24,
    },
    "31B": {"num_hidden_layers": 6, "layer_types": [_SLIDING] * 5 + [_FULL], "num_global_key_value_heads": 1},
}
FAMILIES = tuple(_SHRUNKEN)


def published(size: str) -> dict[str, Any]:
    """The text configuration of a published size."""
    if size == "31B":
        return dict(json.loads(Path("tests/data/gemma-4-31B-it.config.json").read_text())["text_config"])
    return {**_COMMON, **_SIZES[size]}


def shrunken(size: str) -> dict[str, Any]:
    """The same family, small enough for a test."""
    text = {
        **published(size),
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": min(2, published(size)["num_key_value_heads"]),
        "head_dim": 8,
        "global_head_dim": 16,
        "sliding_window": 8,
        "max_position_embeddings": 128,
        **_SHRUNKEN[size],
    }
    if text.get("num_global_key_value_heads"):
        text["num_global_key_value_heads"] = 1
    if text["hidden_size_per_layer_input"]:
        text |= {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 96}
    return text
