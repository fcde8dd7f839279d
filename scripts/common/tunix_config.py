"""Tunix's configuration of a Gemma 4, read from the checkpoint's config.json and compared with Tunix's own preset.

Families: dense (31B, 12B, the miniature), mixture of experts (26B-A4B), per-layer embeddings with shared keys and
values (E2B, E4B). Tunix 0.1.7 has a preset for all of the published sizes but 12B.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from tunix.models.gemma4 import model as gemma4

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import global_attention

MODEL_TYPES = ("gemma4_text", "gemma4_unified_text")
PRESETS: dict[str, Callable[[], gemma4.ModelConfig]] = {
    "gemma4_e2b": gemma4.ModelConfig.gemma4_e2b,
    "gemma4_e4b": gemma4.ModelConfig.gemma4_e4b,
    "gemma4_26b_a4b": gemma4.ModelConfig.gemma4_26b_a4b,
    "gemma4_31b": gemma4.ModelConfig.gemma4_31b,
}
_LAYER_TYPES = {
    "sliding_attention": gemma4.AttentionType.LOCAL_SLIDING,
    "full_attention": gemma4.AttentionType.GLOBAL,
}
# What Tunix's model does and has no setting for: key of config.json, the values that mean it.
_FIXED: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False, None),
    "hidden_activation": ("gelu_pytorch_tanh",),
    "rms_norm_eps": (1e-6,),
    "tie_word_embeddings": (True, None),
    "use_bidirectional_attention": (None, "vision"),
}
# Tunix's field, and the key of config.json that it comes from.
_HF_KEYS = {
    "num_embed": "vocab_size",
    "hidden_dim": "intermediate_size",
    "num_heads": "num_attention_heads",
    "head_dim": "head_dim",
    "num_kv_heads": "num_key_value_heads",
    "num_global_kv_heads": "num_global_key_value_heads",
    "global_key_size": "global_head_dim",
    "k_eq_v_global": "attention_k_eq_v",
    "sliding_window_size": "sliding_window",
    "final_logit_softcap": "final_logit_softcapping",
    "per_layer_input_dim": "hidden_size_per_layer_input",
    "frac_shared_layers": "num_kv_shared_layers",
    "override_kv_shared_ffw_hidden": "use_double_wide_mlp",
    "attention_pattern": "layer_types",
    "global_rope_proportion": "rope_parameters.full_attention.partial_rotary_factor",
    "local_rope_proportion": "rope_parameters.sliding_attention.partial_rotary_factor",
    "global_base_frequency": "rope_parameters.full_attention.rope_theta",
    "local_base_frequency": "rope_parameters.sliding_attention.rope_theta",
    "enable_moe": "enable_moe_block",
    "num_experts": "num_experts",
    "num_experts_per_tok": "top_k_experts",
    "expert_dim": "moe_intermediate_size",
}


def model_config(hf_config: dict[str, Any], dtype: str) -> gemma4.ModelConfig:
    """Tunix's configuration of the Gemma 4 that a Hugging Face config.json describes, computed in `dtype`.

    Raises UserError naming the key that Tunix has no counterpart for, or in which a model of a published size (its
    layers and width) is not what Tunix's preset of that size says.
    """
    text = hf_config.get("text_config", hf_config)
    if text.get("model_type") not in MODEL_TYPES:
        raise UserError(f"config.json: model_type {text.get('model_type')!r} is not Gemma 4 ({', '.join(MODEL_TYPES)})")
    try:
        _require_supported(text)
        config = _model_config(text, dtype)
    except KeyError as error:
        raise UserError(f"config.json: {error.args[0]} is missing") from None
    require_preset(config)
    return config


def require_preset(config: gemma4.ModelConfig) -> str | None:
    """The name of Tunix's preset with as many layers of that width, if there is one.

    Raises UserError naming the first field in which `config` differs from it.
    """
    for name, make in PRESETS.items():
        preset = make()
        if (preset.num_layers, preset.embed_dim) != (config.num_layers, config.embed_dim):
            continue
        for field, key in _HF_KEYS.items():
            found, expected = _effective(config, field), _effective(preset, field)
            if found != expected:
                raise UserError(
                    f"config.json: {key} gives Tunix's {field} the value {_shown(found)}, and Tunix's preset {name}, "
                    f"with {config.num_layers} layers of width {config.embed_dim} too, has {_shown(expected)}"
                )
        return name
    return None


def _require_supported(text: dict[str, Any]) -> None:
    """Raises UserError naming the first key that asks for what Tunix's model does otherwise."""
    for key, allowed in _FIXED.items():
        if key in text and text[key] not in allowed:
            raise UserError(f"config.json: {key} is {text[key]!r}; Tunix's Gemma 4 knows {allowed[0]!r} only")
    for kind, rope in text["rope_parameters"].items():
        if rope.get("rope_type", "default") not in ("default", "proportional"):
            raise UserError(
                f"config.json: rope_parameters.{kind}.rope_type is {rope['rope_type']!r}; Tunix's Gemma 4 knows "
                "'default' and 'proportional'"
            )
    if text.get("hidden_size_per_layer_input") and text["vocab_size_per_layer_input"] != text["vocab_size"]:
        raise UserError(
            f"config.json: vocab_size_per_layer_input is {text['vocab_size_per_layer_input']}, unlike vocab_size "
            f"{text['vocab_size']}; Tunix's Gemma 4 has one vocabulary for both"
        )
    shared, kinds = text.get("num_kv_shared_layers") or 0, text["layer_types"]
    unshared = kinds[: len(kinds) - shared]
    if shared and unshared[-2:] != ["sliding_attention", "full_attention"]:
        raise UserError(
            f"config.json: the last {shared} of {len(kinds)} layers share keys and values (num_kv_shared_layers); "
            "Tunix's Gemma 4 needs a sliding and then a full attention layer just before them"
        )


def _model_config(text: dict[str, Any], dtype: str) -> gemma4.ModelConfig:
    rope = text["rope_parameters"]
    layers = text["num_hidden_layers"]
    global_head_dim, global_kv_heads = global_attention(text)
    experts: dict[str, Any] = {}
    if text.get("enable_moe_block"):
        experts = {
            "enable_moe": True,
            "num_experts": text["num_experts"],
            "num_experts_per_tok": text["top_k_experts"],
            "expert_dim": text["moe_intermediate_size"],
            "moe_dense_hidden_dim": text["intermediate_size"],
        }
    return gemma4.ModelConfig(
        num_layers=layers,
        num_embed=text["vocab_size"],
        embed_dim=text["hidden_size"],
        hidden_dim=text["intermediate_size"],
        num_heads=text["num_attention_heads"],
        head_dim=text["head_dim"],
        num_kv_heads=text["num_key_value_heads"],
        num_global_kv_heads=global_kv_heads,
        global_key_size=global_head_dim,
        k_eq_v_global=text["attention_k_eq_v"],
        sliding_window_size=text["sliding_window"],
        final_logit_softcap=text["final_logit_softcapping"],
        per_layer_input_dim=text.get("hidden_size_per_layer_input") or 0,
        frac_shared_layers=_shared_fraction(text.get("num_kv_shared_layers") or 0, layers),
        override_kv_shared_ffw_hidden=2 * text["intermediate_size"] if text.get("use_double_wide_mlp") else None,
        attention_pattern=tuple(_LAYER_TYPES[kind] for kind in text["layer_types"]),
        global_rope_proportion=rope["full_attention"].get("partial_rotary_factor", 1.0),
        local_rope_proportion=rope["sliding_attention"].get("partial_rotary_factor", 1.0),
        global_base_frequency=int(rope["full_attention"]["rope_theta"]),
        local_base_frequency=int(rope["sliding_attention"]["rope_theta"]),
        param_dtype=jnp.dtype(dtype),
        dtype=jnp.dtype(dtype),
        **experts,
    )


def _shared_fraction(shared: int, layers: int) -> float:
    """Tunix counts the layers that share as int(layers - fraction x layers): half a layer less keeps rounding from
    adding one."""
    return (shared - 0.5) / layers if shared else 0.0


def _effective(config: gemma4.ModelConfig, field: str) -> Any:
    """A field as the model reads it: defaults filled in, the pattern of attention over all layers, shared layers
    counted."""
    value = getattr(config, field)
    if field == "num_global_kv_heads":
        return value if value is not None else config.num_kv_heads
    if field == "override_kv_shared_ffw_hidden":
        return value if value is not None else config.hidden_dim
    if field == "frac_shared_layers":
        return config.num_layers - int(config.num_layers - value * config.num_layers)
    if field == "attention_pattern":
        pattern = value or gemma4.GEMMA4_ATTENTION_PATTERN
        return tuple(pattern[i % len(pattern)] for i in range(config.num_layers))
    return value


def _shown(value: Any) -> str:
    """A value in one line; of a pattern the layers with global attention."""
    if isinstance(value, tuple):
        return f"global layers {[i for i, kind in enumerate(value) if kind is gemma4.AttentionType.GLOBAL]}"
    return str(value)
