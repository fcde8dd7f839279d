"""Gemma 4 in Tunix: its configuration from config.json, the device mesh, the weights, and LoRA by Qwix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import qwix
from flax import nnx
from tunix.models.gemma4 import model as gemma4
from tunix.models.gemma4 import params_safetensors

from scripts.common.errors import UserError
from scripts.common.files import read_json
from scripts.common.gemma4_shapes import global_attention
from scripts.common.lora import LoraSettings, tunix_target_pattern

MESH_AXES = ("fsdp", "tp")
_LAYER_TYPES = {
    "sliding_attention": gemma4.AttentionType.LOCAL_SLIDING,
    "full_attention": gemma4.AttentionType.GLOBAL,
}


def model_config(hf_config: dict[str, Any], dtype: str) -> gemma4.ModelConfig:
    """Tunix's configuration of the dense Gemma 4 that a Hugging Face config.json describes.

    Raises UserError naming the field that Tunix has no counterpart for.
    """
    text = hf_config.get("text_config", hf_config)
    if text.get("model_type") != "gemma4_text":
        raise UserError(f"config.json: model_type {text.get('model_type')!r} is not Gemma 4 (gemma4_text)")
    if text.get("enable_moe_block"):
        raise UserError("config.json: enable_moe_block is set; mixture-of-experts models are not supported yet")
    rope = text["rope_parameters"]
    layers = text["num_hidden_layers"]
    global_head_dim, global_kv_heads = global_attention(text)
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
        per_layer_input_dim=text["hidden_size_per_layer_input"],
        frac_shared_layers=text["num_kv_shared_layers"] / layers,
        attention_pattern=tuple(_LAYER_TYPES[kind] for kind in text["layer_types"]),
        global_rope_proportion=rope["full_attention"].get("partial_rotary_factor", 1.0),
        global_base_frequency=int(rope["full_attention"]["rope_theta"]),
        local_base_frequency=int(rope["sliding_attention"]["rope_theta"]),
        param_dtype=jnp.dtype(dtype),
        dtype=jnp.dtype(dtype),
    )


def make_mesh(fsdp: int, tp: int) -> jax.sharding.Mesh:
    """A (fsdp, tp) mesh over every device. Raises UserError when the product is not the device count."""
    devices = jax.devices()
    if fsdp * tp != len(devices):
        raise UserError(
            f"mesh (fsdp {fsdp}, tp {tp}) needs {fsdp * tp} devices, JAX sees {len(devices)} ({devices[0].platform})"
        )
    axis_types = (jax.sharding.AxisType.Auto,) * len(MESH_AXES)
    return jax.sharding.Mesh(np.array(devices).reshape(fsdp, tp), MESH_AXES, axis_types=axis_types)


def load_model(folder: Path, mesh: jax.sharding.Mesh, dtype: str) -> gemma4.Gemma4:
    """The checkpoint in `folder`, sharded over `mesh`."""
    config = model_config(read_json(folder / "config.json"), dtype)
    return params_safetensors.create_model_from_safe_tensors(str(folder), config, mesh, dtype=jnp.dtype(dtype))


def add_lora(model: gemma4.Gemma4, lora: LoraSettings, mesh: jax.sharding.Mesh, seed: int) -> gemma4.Gemma4:
    """`model` with LoRA factors at its target modules, A random by `seed`, B zero, sharded over `mesh`."""
    with jax.set_mesh(mesh):
        return inject_lora(model, lora, seed)


def inject_lora(model: gemma4.Gemma4, lora: LoraSettings, seed: int) -> gemma4.Gemma4:
    """`add_lora` wherever the weights are, abstract ones too."""
    provider = qwix.LoraProvider(
        module_path=tunix_target_pattern(lora.targets), rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout
    )
    return qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(seed), **model.get_model_input())


def seed_dropout(model: gemma4.Gemma4, seed: int) -> None:
    """Gives every LoRA module a dropout generator of its own. Qwix takes its generators away after injection, and a
    shared one could not be carried through rematerialised layers."""
    modules = [
        node
        for _, node in nnx.iter_graph(model)
        if isinstance(node, nnx.Module) and any(hasattr(node, f"{weight}_lora_a") for weight in ("w", "kernel"))
    ]
    for number, module in enumerate(modules):
        module.qwix_rngs = nnx.Rngs(dropout=jax.random.fold_in(jax.random.key(seed), number))


def rematerialize_decoder_layers(model: gemma4.Gemma4) -> None:
    """Switches rematerialisation of each decoder layer on. Only after LoRA is in place: injection fails with it on."""
    for _, node in nnx.iter_graph(model):
        if isinstance(getattr(node, "config", None), gemma4.ModelConfig):
            node.config.remat_config = gemma4.RematConfig.DECODER
