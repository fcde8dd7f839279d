"""A PEFT adapter in the layout of Tunix's modules: the way back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import global_attention
from scripts.merge.layout import CHECKPOINT_PREFIX, LAYOUTS, LoraFactors, LowRankUpdate

_TENSOR = re.compile(rf"{re.escape(CHECKPOINT_PREFIX)}layers\.(\d+)\.(.+)\.weight")


def modules_of_updates(
    updates: Mapping[str, LowRankUpdate], text: Mapping[str, Any]
) -> tuple[dict[str, LoraFactors], int, float]:
    """Module path -> factors, with the rank and alpha that they all have, for config.json's `text_config`.

    Tunix has one A for K and V where PEFT has one each: where those differ, every module gets twice the rank, kv_einsum
    with both A side by side, the others with zeros, and alpha doubles too. Raises UserError for what Tunix lacks.
    """
    ranks = {update.right.shape[0] for update in updates.values()}
    scales = {update.scale for update in updates.values()}
    if len(ranks) != 1 or len(scales) != 1:
        raise UserError(f"adapter: ranks {sorted(ranks)} and scales {sorted(scales)}; Tunix has one of each")
    (rank,), (scale,) = ranks, scales
    layers: dict[int, dict[str, LowRankUpdate]] = {}
    for name, update in updates.items():
        match = _TENSOR.fullmatch(name)
        if match is None or not any(match[2] in layout.projections for layout in LAYOUTS.values()):
            raise UserError(f"adapter: {name} has no LoRA module in Tunix")
        layers.setdefault(int(match[1]), {})[match[2]] = update
    shared = all(one_a(projections) for projections in layers.values())
    factor = 1 if shared else 2
    modules: dict[str, LoraFactors] = {}
    for layer, projections in sorted(layers.items()):
        modules |= layer_modules(layer, projections, text, factor * rank)
    return modules, factor * rank, factor * rank * scale


def k_is_v(layer: int, text: Mapping[str, Any]) -> bool:
    return bool(text.get("attention_k_eq_v")) and text["layer_types"][layer] == "full_attention"


def one_a(projections: Mapping[str, LowRankUpdate]) -> bool:
    """Have K and V of a layer the same A, as an adapter that came from Tunix has?"""
    k, v = projections.get("self_attn.k_proj"), projections.get("self_attn.v_proj")
    return k is None or v is None or np.array_equal(k.right, v.right)


def layer_modules(
    layer: int, projections: dict[str, LowRankUpdate], text: Mapping[str, Any], rank: int
) -> dict[str, LoraFactors]:
    """The modules of one layer, each of `rank`: the adapter's, or twice that."""
    is_global = text["layer_types"][layer] == "full_attention"
    global_head_dim, _ = global_attention(dict(text))
    head_dim = global_head_dim if is_global else text["head_dim"]
    modules = {}
    for module, layout in LAYOUTS.items():
        held = [projections.get(projection) for projection in layout.projections]
        if module in ("attn.kv_einsum", "attn.k_einsum") and (module == "attn.k_einsum") != k_is_v(layer, text):
            continue
        if all(update is None for update in held):
            continue
        if any(update is None for update in held):
            raise UserError(f"adapter: layer {layer} has one of K and V only; Tunix has a module for both")
        pair = padded([update for update in held if update is not None], rank)
        heads_of_output = module.startswith("attn.") and module != "attn.attn_vec_einsum"
        b = pair.b.reshape(*pair.b.shape[:-1], -1, head_dim) if heads_of_output else pair.b
        a = pair.a.reshape(-1, head_dim, rank) if layout.input_axes == 2 else pair.a
        modules[f"layers.{layer}.{module}"] = LoraFactors(a, b)
    return modules


def padded(updates: list[LowRankUpdate], rank: int) -> LoraFactors:
    """A (in, rank) and B (rank, out), or (rank, parts, out), of one module's projections, filled up with zeros."""
    own = updates[0].right.shape[0]
    a = np.zeros((updates[0].right.shape[1], rank), np.float32)
    b = np.zeros((rank, len(updates), updates[0].left.shape[0]), np.float32)
    for part, update in enumerate(updates):
        # The first A's columns, and the other's only where there is room for both.
        columns = slice(own * part, own * (part + 1)) if rank > own else slice(0, own)
        a[:, columns] = update.right.T
        b[columns, part] = update.left.T
    return LoraFactors(a, b[:, 0] if len(updates) == 1 else b)
