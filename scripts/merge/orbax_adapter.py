"""Reads the LoRA factors of a Tunix checkpoint straight from Orbax: no model, no accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from scripts.common.errors import UserError
from scripts.merge.layout import LoraFactors

# Qwix names the factors of a weight `w` or `kernel` after it.
_SUFFIXES = {"w_lora_a": "a", "w_lora_b": "b", "kernel_lora_a": "a", "kernel_lora_b": "b"}


def read_orbax(folder: Path) -> dict[str, LoraFactors]:
    """Module path (`layers.3.attn.q_einsum`) -> factors, from the Orbax folder `model_params` of a checkpoint."""
    checkpointer = ocp.PyTreeCheckpointer()
    path = str(folder.resolve())
    try:
        tree = checkpointer.metadata(path).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        restored = checkpointer.restore(path, restore_args=as_numpy)
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{folder}: not a readable Orbax checkpoint ({type(error).__name__}: {error})") from None
    return pair_factors(flatten(restored))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Nested mapping -> {dotted path: array}, without the `value` level that flax adds."""
    leaves: dict[str, np.ndarray] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[prefix.rstrip(".") if key == "value" else f"{prefix}{key}"] = np.asarray(value)
    return leaves


def pair_factors(leaves: dict[str, np.ndarray]) -> dict[str, LoraFactors]:
    """Groups `module.w_lora_a` and `module.w_lora_b` by module. Raises UserError for a tensor alone or unknown."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for path, array in leaves.items():
        module, _, name = path.rpartition(".")
        if name not in _SUFFIXES:
            raise UserError(f"adapter: {path} is not a LoRA factor (expected {', '.join(_SUFFIXES)})")
        modules.setdefault(module, {})[_SUFFIXES[name]] = array
    for module, factors in modules.items():
        if len(factors) != 2:
            raise UserError(f"adapter: {module} has factor {next(iter(factors))} only")
    return {module: LoraFactors(**factors) for module, factors in modules.items()}


def write_orbax(folder: Path, modules: Mapping[str, LoraFactors]) -> None:
    """Saves `modules` (module path -> factors) to `folder` in the form that Tunix leaves: what `read_orbax` reads."""
    tree: dict[str, Any] = {}
    for module, factors in modules.items():
        node = tree
        for part in module.split("."):
            node = node.setdefault(part, {})
        weight = "kernel" if ".mlp." in module else "w"
        node |= {f"{weight}_lora_a": {"value": factors.a}, f"{weight}_lora_b": {"value": factors.b}}
    ocp.PyTreeCheckpointer().save(folder.resolve(), tree)
