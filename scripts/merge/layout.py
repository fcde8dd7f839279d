"""Which checkpoint tensors each LoRA module of a Tunix Gemma 4 changes, and how its factors are laid out.

Source: the paper's section 4.2 for six of the seven modules; `k_einsum`, on layers where K = V, is in Tunix's model and
not in the paper. A checkpoint stores a projection as (out, in); Tunix's factors keep heads apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scripts.common.errors import UserError


@dataclass(frozen=True)
class ModuleLayout:
    """One kind of LoRA module: the checkpoint projections it feeds, and how many leading axes of A are inputs.

    A has shape (*in, r) with `input_axes` axes in `in`; B has shape (r, *out), or (r, n, *out) where one B holds the
    updates of n > 1 projections.
    """

    projections: tuple[str, ...]
    input_axes: int = 1


# Tunix module, below `layers.N.` -> checkpoint projections, below `layers.N.`.
LAYOUTS = {
    "attn.q_einsum": ModuleLayout(("self_attn.q_proj",)),
    "attn.kv_einsum": ModuleLayout(("self_attn.k_proj", "self_attn.v_proj")),
    "attn.k_einsum": ModuleLayout(("self_attn.k_proj",)),
    "attn.attn_vec_einsum": ModuleLayout(("self_attn.o_proj",), input_axes=2),
    "mlp.gate_proj": ModuleLayout(("mlp.gate_proj",)),
    "mlp.up_proj": ModuleLayout(("mlp.up_proj",)),
    "mlp.down_proj": ModuleLayout(("mlp.down_proj",)),
}
CHECKPOINT_PREFIX = "model.language_model."
_MODULE_PATH = re.compile(r"layers\.(\d+)\.(.+)")


@dataclass(frozen=True)
class LoraFactors:
    """The factors of one module, as Tunix shapes them; see ModuleLayout."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class LowRankUpdate:
    """The update of one checkpoint tensor: `left` (out, r) times `right` (r, in), both float32, scaled by alpha / r."""

    left: np.ndarray
    right: np.ndarray
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        return (self.left.shape[0], self.right.shape[1])


def updates_of_module(module: str, factors: LoraFactors, alpha: float) -> dict[str, LowRankUpdate]:
    """Checkpoint tensor name -> update, for one LoRA module such as `layers.3.attn.kv_einsum`.

    Raises UserError for a module that the table does not know or factors that do not fit its layout.
    """
    match = _MODULE_PATH.fullmatch(module)
    layout = LAYOUTS.get(match[2]) if match else None
    if match is None or layout is None:
        raise UserError(f"adapter: LoRA module {module} has no place in a checkpoint (known: {', '.join(LAYOUTS)})")
    a, b = factors.a, factors.b
    rank = a.shape[-1]
    parts = len(layout.projections)
    if a.ndim != layout.input_axes + 1 or b.shape[0] != rank or (parts > 1 and b.shape[1] != parts):
        raise UserError(f"adapter: {module} has factors of shape {a.shape} and {b.shape}, which do not fit its layout")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UserError(f"adapter: {module} has factors that are not finite; training has diverged")
    pieces = [b[:, part] for part in range(parts)] if parts > 1 else [b]
    right = a.reshape(-1, rank).T.astype(np.float32)
    return {
        f"{CHECKPOINT_PREFIX}layers.{match[1]}.{projection}.weight": LowRankUpdate(
            left=piece.reshape(rank, -1).T.astype(np.float32), right=right, scale=alpha / rank
        )
        for projection, piece in zip(layout.projections, pieces, strict=True)
    }


def updates_of_adapter(adapter: dict[str, LoraFactors], alpha: float) -> dict[str, LowRankUpdate]:
    """Checkpoint tensor name -> update, for a whole adapter given as module path -> factors."""
    updates: dict[str, LowRankUpdate] = {}
    for module, factors in adapter.items():
        updates |= updates_of_module(module, factors, alpha)
    return updates


def expected_modules(text: Mapping[str, Any], targets: Literal["published", "all"]) -> set[str]:
    """The LoRA modules that Tunix makes of a Gemma 4 of config.json's `text_config`, with these targets.

    Layers that share another layer's keys and values (E4B, E2B) never call their own, and global layers where K = V
    have a K alone, which the published targets miss. Experts and per-layer inputs are no targets.
    """
    layers = text["num_hidden_layers"]
    first_shared = layers - (text.get("num_kv_shared_layers") or 0)
    names = []
    for layer, kind in enumerate(text["layer_types"]):
        k_eq_v = text.get("attention_k_eq_v", False) and kind == "full_attention"
        kinds = ["attn.q_einsum", "attn.attn_vec_einsum", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
        if layer < first_shared and not k_eq_v:
            kinds.append("attn.kv_einsum")
        if layer < first_shared and k_eq_v and targets == "all":
            kinds.append("attn.k_einsum")
        names += [f"layers.{layer}.{kind}" for kind in kinds]
    return set(names)


def check_modules(found: Iterable[str], expected: set[str]) -> None:
    """Raises UserError naming the first LoRA module too many or too few."""
    if missing := sorted(expected - set(found)):
        raise UserError(f"adapter: {missing[0]} has no LoRA factors ({len(missing)} modules lack them); other targets?")
    if extra := sorted(set(found) - expected):
        raise UserError(f"adapter: {extra[0]} is no target of this run and model ({len(extra)} modules are not)")
