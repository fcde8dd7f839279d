"""A merged model's folder: new weights, everything else the base's, manifest last."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from scripts.common.files import MANIFEST_NAME, write_manifest


def start_folder(folder: Path) -> None:
    """An empty folder for the model: what an earlier, unfinished try left is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def finish_folder(folder: Path, base: Path, adapter: dict[str, Any]) -> None:
    """Adds the base's configuration and tokenizer, then the manifest that makes the folder a model."""
    for path in sorted(base.iterdir()):
        is_weights = path.suffix == ".safetensors" or path.name == "model.safetensors.index.json"
        if path.is_file() and path.name != MANIFEST_NAME and not is_weights:
            shutil.copyfile(path, folder / path.name)
    write_manifest(folder, {"source": "merged", "adapter": adapter})


def weight_shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))
