"""Gemma 4 in Tunix: the device mesh, the weights, LoRA and QLoRA by Qwix."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import qwix
from flax import nnx
from tunix.models import safetensors_loader
from tunix.models.gemma4 import model as gemma4
from tunix.models.gemma4 import moe, params_safetensors

from scripts.common.errors import UserError
from scripts.common.files import read_json
from scripts.common.lora import LoraSettings, Quantization, tunix_target_pattern
from scripts.common.tunix_config import model_config

MESH_AXES = ("fsdp", "tp")
# Weights that have a scale in common in a quantised matrix.
QUANTIZATION_TILE = 128


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
    # What Tunix's create_model_from_safe_tensors does, with this project's model in place of Tunix's own.
    model = safetensors_loader.load_and_create_model(
        file_dir=str(folder),
        model_class=gemma4_model,
        config=config,
        key_mapping=params_safetensors._get_key_and_transform_mapping,
        mesh=mesh,
        preprocess_fn=params_safetensors._make_preprocess_fn(config),
        dtype=jnp.dtype(dtype),
    )
    for layer in model.layers if config.enable_moe else ():
        route_as_published(layer)
    return model


def gemma4_model(config: gemma4.ModelConfig, *, rngs: nnx.Rngs) -> gemma4.Gemma4:
    """Tunix's model without the K and V of layers that share an earlier layer's: they are never used, and a checkpoint
    that transformers wrote does not have them."""
    model = gemma4.Gemma4(config, rngs=rngs)
    for index, layer in enumerate(model.layers):
        if model.kv_cache_sharing_patterns[index] != index:
            del layer.attn._key_norm
            delattr(layer.attn, "k_einsum" if hasattr(layer.attn, "k_einsum") else "kv_einsum")
    return model


class PublishedMoe(moe.MoERagged):
    """Experts whose router sees a token before the experts' own norm, as Gemma 4 was published and as transformers has
    it; Tunix 0.1.7 hands the router what the experts get."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` of shape (batch, seq_len, width), not yet normalised."""
        variance = jnp.mean(jnp.square(x.astype(jnp.float32)), axis=-1, keepdims=True)
        routed = (x * jax.lax.rsqrt(variance + 1e-06)).astype(x.dtype) * self.router_scale[...].astype(x.dtype)
        logits = jnp.einsum("gsd,de->gse", routed * self.features**-0.5, self.router_logits[...].astype(x.dtype))
        weights, choices = self._router(logits)
        return self._run_ffw_and_routing(self.norm(x), choices, weights)


class _Unchanged(nnx.Module):
    def __call__(self, x: jax.Array) -> jax.Array:
        return x


def route_as_published(layer: gemma4.DecoderLayer) -> None:
    """Moves the norm before the experts into the experts, behind their router."""
    layer.moe.__class__ = PublishedMoe
    layer.moe.norm = layer.moe_pre_ffw_norm
    layer.moe_pre_ffw_norm = _Unchanged()


def add_lora(
    model: gemma4.Gemma4,
    lora: LoraSettings,
    mesh: jax.sharding.Mesh,
    seed: int,
    quantization: Quantization | None = None,
) -> gemma4.Gemma4:
    """`model` with LoRA factors at its target modules, A random by `seed`, B zero, on `mesh`.

    With `quantization` the matrices of all layers become that, whether LoRA changes them or not; embedding and norms
    stay.
    """
    with jax.set_mesh(mesh):
        return inject_lora(model, lora, seed, quantization)


def inject_lora(
    model: gemma4.Gemma4, lora: LoraSettings, seed: int, quantization: Quantization | None = None
) -> gemma4.Gemma4:
    """`add_lora` wherever the weights are, abstract ones too."""
    factors = {"rank": lora.rank, "alpha": lora.alpha, "dropout": lora.dropout}
    if quantization is None:
        rules = [qwix.LoraRule(module_path=tunix_target_pattern(lora.targets), **factors)]
    else:
        rules = _quantized_rules(model.config, lora, factors, quantization)
    return qwix.apply_lora_to_model(model, CastingLoraProvider(rules), rngs=nnx.Rngs(seed), **model.get_model_input())


class CastingLoraProvider(qwix.LoraProvider):
    """Qwix's provider, for modules that cast their weight before they use it, as Tunix's Einsum does: the cast of a
    quantised weight is one of its scales, and with it of what dequantising gives."""

    def astype(self, x: Any, dtype: Any, **kwargs: Any) -> Any:
        return self.asarray(x, dtype=dtype) if hasattr(x, "how") else jnp.astype(x, dtype, **kwargs)

    def get_intercept_map(self) -> dict[str, Any]:
        return {**super().get_intercept_map(), "jax.numpy.astype": self.astype}


def _quantized_rules(
    config: gemma4.ModelConfig, lora: LoraSettings, factors: dict[str, Any], quantization: Quantization
) -> list[Any]:
    """Rules by which Qwix quantises every matrix of every layer, with LoRA on the targets.

    A tile is QUANTIZATION_TILE inputs long. The last of the inputs is tiled: the output projection's is a head's
    dimension, which may be smaller.
    """
    if config.enable_moe:
        raise UserError(
            f"train.quantization: {quantization} does not reach the experts of a mixture-of-experts model, which are "
            "most of it (Qwix quantises no ragged_dot); use null"
        )
    pattern = config.attention_pattern or gemma4.GEMMA4_ATTENTION_PATTERN
    kinds = [pattern[i % len(pattern)] for i in range(config.num_layers)]
    layers = {
        kind: "|".join(str(i) for i, other in enumerate(kinds) if other is kind) or "(?!)"
        for kind in gemma4.AttentionType
    }
    global_dim = config.global_key_size or config.head_dim
    inputs = {
        rf".*layers/({layers[gemma4.AttentionType.LOCAL_SLIDING]})/attn/attn_vec_einsum": config.head_dim,
        rf".*layers/({layers[gemma4.AttentionType.GLOBAL]})/attn/attn_vec_einsum": global_dim,
        ".*down_proj": config.hidden_dim,
        ".*(q_einsum|kv_einsum|k_einsum|gate_proj|up_proj)": config.embed_dim,
    }
    rules: list[Any] = []
    for path, size in inputs.items():
        quantized = {"weight_qtype": quantization, "tile_size": math.gcd(QUANTIZATION_TILE, size)}
        # Both patterns must match: Qwix takes the first rule that does.
        targets = f"(?=({tunix_target_pattern(lora.targets)})$){path}"
        rules.append(qwix.LoraRule(module_path=targets, **quantized, **factors))
        rules.append(qwix.QuantizationRule(module_path=path, **quantized))
    return rules


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
