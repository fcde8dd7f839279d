"""Two other ways to merge a PEFT adapter, for benchmarks/merge.py: all in memory, and PEFT's merge_and_unload."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def load_everything(base: Path, adapter: Path, output: Path) -> None:
    """All tensors in memory, each update added in float32, one file."""
    scale_of = json.loads((adapter / "adapter_config.json").read_text())
    scale = scale_of["lora_alpha"] / scale_of["r"]
    factors = load_file(adapter / "adapter_model.safetensors")
    weights: dict[str, torch.Tensor] = {}
    for shard in sorted(base.glob("*.safetensors")):
        weights |= load_file(shard)
    for name, weight in weights.items():
        module = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{module}.lora_A.weight" in factors:
            delta = factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"]
            weights[name] = (weight.float() + scale * delta).to(weight.dtype)
    output.mkdir()
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})


def merge_and_unload(base: Path, adapter: Path, output: Path) -> None:
    """PEFT's own, on the model in transformers."""
    import peft

    from scripts.common.hf_gemma4 import load_model

    model = peft.PeftModel.from_pretrained(load_model(base, "auto"), adapter)
    model.merge_and_unload().save_pretrained(output)


if __name__ == "__main__":
    ways = {way.__name__: way for way in (load_everything, merge_and_unload)}
    ways[sys.argv[1]](*map(Path, sys.argv[2:]))
