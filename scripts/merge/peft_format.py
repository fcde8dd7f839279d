"""LoRA adapters in PEFT's format: adapter_config.json and adapter_model.safetensors, to and from low-rank updates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from scripts.common.errors import UserError
from scripts.common.files import read_json, write_json
from scripts.merge.checkpoint import DTYPES, read_header
from scripts.merge.folders import ModelFolder
from scripts.merge.layout import LowRankUpdate

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")
# Settings under which an adapter is more than alpha / rank x B.A, with the values that are harmless.
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "fan_in_fan_out": (False, None),
    "modules_to_save": ([], None),
    "alpha_pattern": ({}, None),
    "trainable_token_indices": ([], None),
}


def read_peft(folder: Path) -> dict[str, LowRankUpdate]:
    """Checkpoint tensor name -> update, of the adapter in `folder`. Raises UserError for what is not plain LoRA."""
    config = read_json(folder / CONFIG_NAME)
    if config.get("peft_type") != "LORA":
        raise UserError(f"{folder / CONFIG_NAME}: peft_type {config.get('peft_type')!r}, only LORA can be merged here")
    for key, harmless in _UNSUPPORTED.items():
        if config.get(key) not in harmless:
            raise UserError(f"{folder / CONFIG_NAME}: {key} is {config[key]!r}, which a plain LoRA merge leaves out")
    factors: dict[str, dict[str, np.ndarray]] = {}
    for key, array in read_arrays(folder, WEIGHTS_NAME).items():
        match = _KEY.fullmatch(key)
        if match is None or array.ndim != 2:
            raise UserError(f"{folder / WEIGHTS_NAME}: {key} of shape {array.shape} is not a factor of a linear layer")
        factors.setdefault(match[1], {})[match[2]] = array.astype(np.float32)
    updates = {}
    for module, pair in factors.items():
        if len(pair) != 2 or pair["A"].shape[0] != pair["B"].shape[1]:
            shapes = {name: array.shape for name, array in pair.items()}
            raise UserError(
                f"{folder / WEIGHTS_NAME}: {module} has factors {shapes}; expected A (r, in) and B (out, r)"
            )
        if not all(np.isfinite(array).all() for array in pair.values()):
            raise UserError(f"{folder / WEIGHTS_NAME}: {module} has factors that are not finite")
        rank = pair["A"].shape[0]
        scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
        updates[f"{module}.weight"] = LowRankUpdate(left=pair["B"], right=pair["A"], scale=scale)
    if not updates:
        raise UserError(f"{folder / WEIGHTS_NAME}: has no LoRA factors")
    return updates


def read_arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The tensors of one safetensors file, bfloat16 among them, which numpy by itself does not know."""
    location = ModelFolder.at(str(folder))
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    data = path.read_bytes()
    arrays = {}
    for tensor in read_header(location, name, len(data)):
        if tensor.dtype not in DTYPES:
            raise UserError(f"{path}: {tensor.name} is {tensor.dtype}, expected one of {', '.join(DTYPES)}")
        stored = data[tensor.offset : tensor.offset + tensor.size_bytes]
        arrays[tensor.name] = np.frombuffer(stored, DTYPES[tensor.dtype]).reshape(tensor.shape)
    return arrays


def write_peft(folder: Path, updates: Mapping[str, LowRankUpdate], rank: int, alpha: float) -> None:
    """The adapter of `updates` (checkpoint tensor name -> update, all of this rank and alpha) for PEFT and vLLM.

    For a K that is V as well (no v_proj beside it) V's factors are written too: vLLM keeps the weights of both in one
    matrix and adds K's factors to K's half alone. PEFT has no such module and leaves them out.
    """
    arrays = {}
    for name, update in with_v_of_k(updates).items():
        module = _PREFIX + name.removesuffix(".weight")
        arrays[f"{module}.lora_A.weight"] = np.ascontiguousarray(update.right)
        arrays[f"{module}.lora_B.weight"] = np.ascontiguousarray(update.left)
    save_file(arrays, folder / WEIGHTS_NAME, metadata={"format": "pt"})
    write_json(folder / CONFIG_NAME, adapter_config(updates, rank, alpha))


def with_v_of_k(updates: Mapping[str, LowRankUpdate]) -> dict[str, LowRankUpdate]:
    """`updates`, and K's as V's on the layers that have a K and no V of their own."""
    doubled = dict(updates)
    for name, update in updates.items():
        doubled.setdefault(name.replace(".self_attn.k_proj.", ".self_attn.v_proj."), update)
    return doubled


def without_v_of_k(updates: Mapping[str, LowRankUpdate], text: Mapping[str, Any]) -> dict[str, LowRankUpdate]:
    """`updates` without V's on the layers of config.json's `text_config` where K is V: the way back from
    `with_v_of_k`. Raises UserError where V's are not K's, which no single weight could hold."""
    kept = dict(updates)
    if not text.get("attention_k_eq_v"):
        return kept
    for layer, kind in enumerate(text["layer_types"]):
        names = [name for name in updates if f".layers.{layer}.self_attn.v_proj." in name]
        for name in names if kind == "full_attention" else []:
            v, k = kept.pop(name), updates.get(name.replace("v_proj", "k_proj"))
            if k is None or not (np.array_equal(k.left, v.left) and np.array_equal(k.right, v.right)):
                raise UserError(f"adapter: {name} is changed in another way than K, which is V on layer {layer}")
    return kept


def adapter_config(updates: Mapping[str, LowRankUpdate], rank: int, alpha: float) -> dict[str, Any]:
    """PEFT's LoraConfig of these modules and no others, as JSON."""
    modules = sorted(name.removesuffix(".weight") for name in updates)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "fan_in_fan_out": False,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": modules,
    }
