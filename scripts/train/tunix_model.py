"""The model that Tunix trains: the base on the mesh, with LoRA, every part checked before the first step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from scripts.common import tunix_gemma4
from scripts.common.errors import UserError
from scripts.common.files import read_json
from scripts.common.gemma4_layers import lora_parameters
from scripts.common.tunix_sharding import fit_shardings
from scripts.train.settings import TrainSettings

# Parameters named in the log when their annotation was replaced; the others are counted.
REPLICATED_SHOWN = 3


def trainable_model(settings: TrainSettings, base_folder: Path, mesh: jax.sharding.Mesh) -> nnx.Module:
    """The base model with LoRA factors, on the mesh.

    Raises UserError when LoRA did not land on as many parameters as its targets have by the sizes in config.json.
    """
    model = tunix_gemma4.load_model(base_folder, mesh, settings.dtype)
    model = tunix_gemma4.add_lora(model, settings.lora, mesh, settings.seed, settings.quantization)
    require_lora_parameters(model, settings, read_json(base_folder / "config.json"))
    place(model, mesh, "model")
    if settings.lora.dropout > 0:
        tunix_gemma4.seed_dropout(model, settings.seed)
    if settings.remat == "decoder":
        tunix_gemma4.rematerialize_decoder_layers(model)
    return model


def count_lora_parameters(model: nnx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.LoRAParam)))


def require_lora_parameters(model: nnx.Module, settings: TrainSettings, hf_config: dict[str, Any]) -> None:
    """Raises UserError unless `model` has the LoRA parameters that the formula gives."""
    expected = lora_parameters(hf_config, settings.lora.rank, settings.lora.targets)
    if (found := count_lora_parameters(model)) != expected:
        raise UserError(
            f"train.lora_targets: {settings.lora.targets} with rank {settings.lora.rank} came to {found:,} parameters, "
            f"and by the sizes in config.json it should be {expected:,}: this Tunix names other modules than the "
            "pattern knows"
        )


def place(node: Any, mesh: jax.sharding.Mesh, name: str) -> None:
    """Puts every array of a model or an optimizer where its annotation says, and logs the annotations that do not fit
    the mesh."""
    replaced = fit_shardings(node, mesh)
    if replaced:
        shown = "; ".join(map(str, replaced[:REPLICATED_SHOWN]))
        more = f"; and {len(replaced) - REPLICATED_SHOWN} more" if len(replaced) > REPLICATED_SHOWN else ""
        print(f"sharding: {len(replaced)} arrays of the {name} are replicated: {shown}{more}", file=sys.stderr)
