"""Gemma 4 checkpoints in transformers, with or without a PEFT adapter, and their logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers

from scripts.common.files import read_json
from scripts.merge.probe import Probe


def load_model(folder: Path, dtype: str) -> transformers.PreTrainedModel:
    """The checkpoint under the class that its config.json names; `dtype` is torch's name or `auto`."""
    architecture = read_json(folder / "config.json")["architectures"][0]
    return getattr(transformers, architecture).from_pretrained(folder, dtype=dtype).eval()


def load_with_adapter(model: transformers.PreTrainedModel, adapter: Path) -> peft.PeftModel:
    return peft.PeftModel.from_pretrained(model, adapter).eval()


@torch.inference_mode()
def probe_logits(model: Any, probe: Probe) -> np.ndarray:
    """Logits at the probe's positions, float32, shape (rows, positions, vocabulary)."""
    logits = [
        model(input_ids=torch.from_numpy(tokens).long()[None], use_cache=False).logits[0, -probe.positions :]
        for tokens in probe.rows
    ]
    return torch.stack(logits).float().numpy()
