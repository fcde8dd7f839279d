"""Logits of Gemma 4 in transformers, with or without a PEFT adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers

from scripts.merge.probe import Probe


def load_with_adapter(model: transformers.PreTrainedModel, adapter: Path) -> peft.PeftModel:
    return peft.PeftModel.from_pretrained(model, adapter)


@torch.inference_mode()
def probe_logits(model: Any, probe: Probe) -> np.ndarray:
    """Logits at the probe's positions, float32, shape (rows, positions, vocabulary)."""
    model.eval()
    logits = [
        model(input_ids=torch.from_numpy(tokens).long()[None], use_cache=False).logits[0, -probe.positions :]
        for tokens in probe.rows
    ]
    return torch.stack(logits).float().numpy()


def adapted_modules(model: peft.PeftModel) -> list[str]:
    """Names, in the base model, of the modules that the adapter changes."""
    return [name for name, module in model.get_base_model().named_modules() if hasattr(module, "lora_A")]


@torch.no_grad()
def round_weights(model: Any, modules: list[str]) -> None:
    """Rounds the weights of `modules` to bfloat16, in place, without changing their type."""
    for name in modules:
        weight = model.get_submodule(name).weight
        weight.copy_(weight.bfloat16())
