"""An adapter of either backend as low-rank updates of checkpoint tensors, after the checks that it fits the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError
from scripts.common.files import fingerprint, read_manifest
from scripts.common.lora import LoraSettings
from scripts.merge.layout import LoraFactors, LowRankUpdate, check_modules, expected_modules, updates_of_adapter
from scripts.merge.peft_format import read_peft, without_v_of_k

ORBAX_FOLDER = "model_params"


@dataclass(frozen=True)
class Adapter:
    """What training published: its manifest, and checkpoint tensor name -> update."""

    manifest: dict[str, Any]
    updates: dict[str, LowRankUpdate]

    @property
    def origin(self) -> dict[str, Any]:
        """What a merged model's manifest says of the adapter."""
        return {key: self.manifest[key] for key in ("format", "lora", "step")}


def read_adapter(manifest_path: Path, model_config: Mapping[str, Any], base_files: Any, lora: LoraSettings) -> Adapter:
    """The adapter at `manifest_path`, for the model of config.json `model_config`.

    `base_files` is the `files` of the base model's manifest, None where it has none; `lora` what the run asks for.
    Raises UserError for an adapter of another rank, alpha, targets or base model, or without a factor that it should
    have.
    """
    manifest = read_manifest(manifest_path)
    check_fingerprint(manifest_path, manifest, base_files, lora)
    folder = manifest_path.parent
    if manifest["format"] == "peft":
        text = model_config.get("text_config", model_config)
        updates = without_v_of_k(read_peft(folder), text)
    else:
        updates = updates_of_adapter(read_factors(folder, model_config, lora), lora.alpha)
    check_rank(manifest_path, updates, lora)
    return Adapter(manifest, updates)


def check_fingerprint(path: Path, manifest: Mapping[str, Any], base_files: Any, lora: LoraSettings) -> None:
    """Raises UserError naming what an adapter was trained with, where it is not what the run asks for."""
    for key, wanted in asdict(lora).items():
        # Dropout is of training alone.
        if key != "dropout" and manifest["lora"][key] != wanted:
            raise UserError(f"{path}: trained with LoRA {key} {manifest['lora'][key]}, the run asks for {wanted}")
    trained_on = manifest.get("base_fingerprint")
    if base_files is not None and trained_on is not None and trained_on != fingerprint(base_files):
        raise UserError(
            f"{path}: trained on another base model ({manifest['base_source']}, fingerprint {trained_on}) than the one "
            f"to merge into ({fingerprint(base_files)})"
        )


def check_rank(path: Path, updates: Mapping[str, LowRankUpdate], lora: LoraSettings) -> None:
    for name, update in updates.items():
        if update.right.shape[0] != lora.rank:
            raise UserError(f"{path}: {name} has rank {update.right.shape[0]}, the run's LoRA rank is {lora.rank}")


def read_factors(folder: Path, model_config: Mapping[str, Any], lora: LoraSettings) -> dict[str, LoraFactors]:
    """Module path -> factors of a Tunix adapter, all those that its targets make of the model and no others."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # a merge needs no accelerator
    from scripts.merge.orbax_adapter import read_orbax

    factors = read_orbax(folder / ORBAX_FOLDER)
    check_modules(factors, expected_modules(model_config.get("text_config", model_config), lora.targets))
    return factors
