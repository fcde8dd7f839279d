"""Gemma 4 checkpoints in transformers."""

from __future__ import annotations

from pathlib import Path

import transformers

from scripts.common.files import read_json


def load_model(folder: Path, dtype: str) -> transformers.PreTrainedModel:
    """The checkpoint under the class that its config.json names, so that tensor names stay as they are.

    `dtype` is torch's name for the type of weights and activations, or `auto` for the checkpoint's own.
    """
    architecture = read_json(folder / "config.json")["architectures"][0]
    return getattr(transformers, architecture).from_pretrained(folder, dtype=dtype)
