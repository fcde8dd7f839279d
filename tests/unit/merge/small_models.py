"""Small safetensors checkpoints and adapters for the merge's tests."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from scripts.common.files import write_json, write_manifest

WIDTH, MLP, LAYERS = 16, 40, 3
PREFIX = "model.language_model.layers."
LORA = {"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all"}
PROJECTIONS = {
    "self_attn.q_proj": (32, WIDTH), "self_attn.k_proj": (8, WIDTH), "self_attn.v_proj": (8, WIDTH),
    "self_attn.o_proj": (WIDTH, 32), "mlp.gate_proj": (MLP, WIDTH), "mlp.up_proj": (MLP, WIDTH),
    "mlp.down_proj": (WIDTH, MLP),
}  # fmt: skip


def weights(dtype: Any = ml_dtypes.bfloat16, seed: int = 0) -> dict[str, np.ndarray]:
    """All tensors of a small model: projections, norms, an embedding, a vision tensor of another type."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32).astype(dtype)

    tensors = {"model.language_model.embed_tokens.weight": draw(100, WIDTH)}
    for layer in range(LAYERS):
        tensors |= {f"{PREFIX}{layer}.{name}.weight": draw(*shape) for name, shape in PROJECTIONS.items()}
        tensors[f"{PREFIX}{layer}.input_layernorm.weight"] = draw(WIDTH)
    tensors["model.vision_tower.position_ids"] = np.arange(7, dtype=np.int32)
    return tensors


def write_base(folder: Path, tensors: dict[str, np.ndarray], shards: int = 1) -> Path:
    """A base model's folder, its weights in `shards` files; returns its manifest."""
    folder.mkdir(parents=True)
    names = sorted(tensors)
    files = {f"model-{n + 1:05d}-of-{shards:05d}.safetensors": names[n::shards] for n in range(shards)}
    if shards == 1:
        files = {"model.safetensors": names}
    for file, held in files.items():
        save_file({name: tensors[name] for name in held}, folder / file, metadata={"format": "pt"})
    if shards > 1:
        weight_map = {name: file for file, held in files.items() for name in held}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    text = {
        "model_type": "gemma4_text", "num_hidden_layers": LAYERS, "layer_types": ["sliding_attention"] * LAYERS,
        "attention_k_eq_v": False, "num_kv_shared_layers": 0,
    }  # fmt: skip
    write_json(folder / "config.json", {"architectures": ["Gemma4ForConditionalGeneration"], "text_config": text})
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    return write_manifest(folder, {"source": "small"})


def peft_factors(seed: int = 1, rank: int = 4) -> dict[str, np.ndarray]:
    """PEFT's tensors of an adapter of all seven projections of every layer."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        for name, (out, columns) in PROJECTIONS.items():
            module = f"base_model.model.{PREFIX}{layer}.{name}"
            tensors[f"{module}.lora_A.weight"] = rng.standard_normal((rank, columns), np.float32)
            tensors[f"{module}.lora_B.weight"] = 0.1 * rng.standard_normal((out, rank), np.float32)
    return tensors


def write_peft_adapter(folder: Path, tensors: dict[str, np.ndarray], **changes: Any) -> Path:
    """An adapter as TRL leaves it; returns its manifest. `changes` are of adapter_config.json."""
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": LORA["rank"], "lora_alpha": LORA["alpha"], "bias": "none", **changes}
    write_json(folder / "adapter_config.json", config)
    return write_manifest(folder, {"format": "peft", "lora": LORA, "base_source": "small", "step": 7})
