"""Which checkpoint tensors each LoRA module of a Tunix Gemma 4 changes, and how its factors are laid out.

Source: the paper's section 4.2 for six of the seven modules; `k_einsum`, on layers where K = V, is in Tunix's model and
not in the paper. A checkpoint stores a projection as (out, in); Tunix's factors keep heads apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    """The update of one checkpoint tensor: `left` (out, r) times `right` (r, in), scaled by alpha / r."""

    left: np.ndarray
    right: np.ndarray
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        return (self.left.shape[0], self.right.shape[1])

    def delta(self) -> np.ndarray:
        """The update itself, float32, shape (out, in)."""
        return self.scale * (self.left.astype(np.float32) @ self.right.astype(np.float32))


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
    pieces = [b[:, part] for part in range(parts)] if parts > 1 else [b]
    right = a.reshape(-1, rank).T
    return {
        f"{CHECKPOINT_PREFIX}layers.{match[1]}.{projection}.weight": LowRankUpdate(
            left=piece.reshape(rank, -1).T, right=right, scale=alpha / rank
        )
        for projection, piece in zip(layout.projections, pieces, strict=True)
    }


def updates_of_adapter(adapter: dict[str, LoraFactors], alpha: float) -> dict[str, LowRankUpdate]:
    """Checkpoint tensor name -> update, for a whole adapter given as module path -> factors."""
    updates: dict[str, LowRankUpdate] = {}
    for module, factors in adapter.items():
        updates |= updates_of_module(module, factors, alpha)
    return updates


def check_updates(updates: dict[str, LowRankUpdate], shapes: dict[str, tuple[int, ...]]) -> None:
    """Raises UserError unless every update has a tensor of its shape among the base's `shapes`."""
    for name, update in updates.items():
        if name not in shapes:
            raise UserError(f"base model: the adapter changes {name}, which the checkpoint does not have")
        if tuple(shapes[name]) != update.shape:
            raise UserError(f"base model: {name} has shape {tuple(shapes[name])}, the adapter's update {update.shape}")


def apply_update(weight: np.ndarray, update: LowRankUpdate) -> np.ndarray:
    """`weight` (out, in) plus the update, summed in float32 and rounded once to the weight's own type."""
    return (weight.astype(np.float32) + update.delta()).astype(weight.dtype)
