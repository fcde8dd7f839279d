"""Writes a checkpoint of every shrunken family with transformers, and its logits: run in the torch environment by
test_tunix_families_jax.py. Usage: write_families.py FOLDER"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import (
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    PreTrainedModel,
)

from tests.unit.common.published_gemma4 import FAMILIES, shrunken

ROWS, ROW_LEN = 2, 20


def family_model(size: str) -> PreTrainedModel:
    """Every tensor random, the scales that are 1 at first too, so that none can be mistaken or left out."""
    text = {**shrunken(size), "dtype": "float32"}
    if text["model_type"] == "gemma4_unified_text":
        config = Gemma4UnifiedConfig(text_config=text, vision_config=None, audio_config=None)
        model: PreTrainedModel = Gemma4UnifiedForConditionalGeneration(config)
    else:
        model = Gemma4ForConditionalGeneration(Gemma4Config(text_config=text, vision_config=None, audio_config=None))
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if "rotary" in name or "inv_freq" in name or name.endswith("embed_scale"):
            continue
        spread = torch.randn(tensor.shape, generator=generator)
        with torch.no_grad():
            tensor.copy_(1 + 0.2 * spread if tensor.ndim == 1 else spread / tensor.shape[-1] ** 0.5)
    model.tie_weights()
    return model.eval()


def main(folder: Path) -> None:
    tokens = torch.randint(3, 90, (ROWS, ROW_LEN), generator=torch.Generator().manual_seed(1))
    for size in FAMILIES:
        model = family_model(size)
        model.save_pretrained(folder / size)
        with torch.no_grad():
            logits = model(input_ids=tokens).logits
        np.savez(folder / size / "expected.npz", tokens=tokens.numpy(), logits=logits.float().numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
