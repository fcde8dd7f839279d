"""The streaming merge of a bfloat16 Gemma 4 of 8 GB in many shards, all seven projections of every layer adapted,
beside `cp` of the same bytes, the straightforward way and PEFT's merge_and_unload: seconds and peak memory, in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from benchmarks.measure import measure
from scripts.common.errors import entry_point
from scripts.common.files import fingerprint, read_json, read_manifest, write_json, write_manifest
from scripts.merge.adapters import ORBAX_FOLDER
from scripts.merge.checkpoint import StoredTensor, index_of, plan_shards, read_tensors
from scripts.merge.folders import ModelFolder, read_exactly
from scripts.merge.layout import CHECKPOINT_PREFIX, LoraFactors, updates_of_adapter
from scripts.merge.peft_format import write_peft

SHARD_GB = 0.5
PEERS = ("load_everything", "merge_and_unload")  # of benchmarks/merge_peers.py
LORA: dict[str, Any] = {"rank": 64, "alpha": 64.0, "dropout": 0.0, "targets": "all"}  # paper, section 3.3
WIDTH, MLP_WIDTH, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 2560, 10_240, 8, 4, 256, 65_536
LAYER_GB = 2e-9 * WIDTH * (2 * HEADS * HEAD_DIM + 2 * KV_HEADS * HEAD_DIM + 3 * MLP_WIDTH)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-gb", type=float, default=8.0, help="of the model, 10^9 bytes (default 8)")
    parser.add_argument("--without-peers", action="store_true", help="only cp and the streaming merge")
    parser.add_argument(
        "--folder", type=Path, help="where the models are written, four times the size (default: TMPDIR)"
    )
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/merge.json"))
    return parser.parse_args(argv)


def model_config(layers: int) -> dict[str, Any]:
    """The miniature's config.json with other sizes."""
    config: dict[str, Any] = read_json(Path("resources/mini/model/config.json"))
    config["dtype"] = "bfloat16"
    config["text_config"] |= {
        "hidden_size": WIDTH, "intermediate_size": MLP_WIDTH, "num_attention_heads": HEADS, "head_dim": HEAD_DIM,
        "global_head_dim": HEAD_DIM, "num_key_value_heads": KV_HEADS, "num_global_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY, "num_hidden_layers": layers, "attention_k_eq_v": False,
        "layer_types": ["sliding_attention"] * (layers - 1) + ["full_attention"],
    }  # fmt: skip
    return config


def tensor_shapes(layers: int) -> dict[str, tuple[int, ...]]:
    attention, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {
        f"{CHECKPOINT_PREFIX}embed_tokens.weight": (VOCABULARY, WIDTH),
        f"{CHECKPOINT_PREFIX}norm.weight": (WIDTH,),
    }
    for layer in range(layers):
        prefix = f"{CHECKPOINT_PREFIX}layers.{layer}"
        shapes |= {
            f"{prefix}.self_attn.q_proj.weight": (attention, WIDTH), f"{prefix}.self_attn.k_proj.weight": (kv, WIDTH),
            f"{prefix}.self_attn.v_proj.weight": (kv, WIDTH), f"{prefix}.self_attn.o_proj.weight": (WIDTH, attention),
            f"{prefix}.mlp.gate_proj.weight": (MLP_WIDTH, WIDTH), f"{prefix}.mlp.up_proj.weight": (MLP_WIDTH, WIDTH),
            f"{prefix}.mlp.down_proj.weight": (WIDTH, MLP_WIDTH), f"{prefix}.layer_scalar": (1,),
            f"{prefix}.self_attn.q_norm.weight": (HEAD_DIM,), f"{prefix}.self_attn.k_norm.weight": (HEAD_DIM,),
            f"{prefix}.input_layernorm.weight": (WIDTH,), f"{prefix}.post_attention_layernorm.weight": (WIDTH,),
            f"{prefix}.pre_feedforward_layernorm.weight": (WIDTH,),
            f"{prefix}.post_feedforward_layernorm.weight": (WIDTH,),
        }  # fmt: skip
    return shapes


def write_base(folder: Path, layers: int) -> dict[str, Any]:
    """A base model of random weights, in shards; returns its manifest."""
    rng = np.random.default_rng(0)
    noise = (0.02 * rng.standard_normal(1 << 24, np.float32)).astype(ml_dtypes.bfloat16).view(np.uint8)
    tensors = [
        StoredTensor(name, "BF16", shape, "", 0, 2 * int(np.prod(shape)))
        for name, shape in tensor_shapes(layers).items()
    ]
    folder.mkdir()
    shards = plan_shards(tensors, int(SHARD_GB * 1e9))
    for shard in shards:
        with open(folder / shard.name, "wb") as handle:
            handle.write(shard.header)
            left = shard.size_bytes - len(shard.header)
            while left:
                left -= handle.write(noise[: min(left, len(noise))].data)
    write_json(folder / "model.safetensors.index.json", index_of(shards))
    write_json(folder / "config.json", model_config(layers))
    return read_manifest(write_manifest(folder, {"source": "synthetic"}))


def write_adapters(orbax: Path, peft: Path, base: dict[str, Any], layers: int) -> None:
    """The same random factors as Tunix leaves them in Orbax, and in PEFT's format."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from scripts.merge.orbax_adapter import write_orbax

    rng = np.random.default_rng(1)
    rank = LORA["rank"]

    def draw(*shape: int) -> np.ndarray:
        return 0.02 * rng.standard_normal(shape, np.float32)

    shapes = {
        "attn.q_einsum": ((WIDTH, rank), (rank, HEADS, HEAD_DIM)),
        "attn.kv_einsum": ((WIDTH, rank), (rank, 2, KV_HEADS, HEAD_DIM)),
        "attn.attn_vec_einsum": ((HEADS, HEAD_DIM, rank), (rank, WIDTH)),
        "mlp.gate_proj": ((WIDTH, rank), (rank, MLP_WIDTH)),
        "mlp.up_proj": ((WIDTH, rank), (rank, MLP_WIDTH)),
        "mlp.down_proj": ((MLP_WIDTH, rank), (rank, WIDTH)),
    }
    factors = {
        f"layers.{layer}.{module}": LoraFactors(draw(*a), draw(*b))
        for layer in range(layers)
        for module, (a, b) in shapes.items()
    }
    write_orbax(orbax / ORBAX_FOLDER, factors)
    origin = {"lora": LORA, "base_source": "synthetic", "base_fingerprint": fingerprint(base["files"]), "step": 1}
    write_manifest(orbax, {"format": "orbax", **origin})
    peft.mkdir()
    updates = updates_of_adapter(factors, LORA["alpha"])
    write_peft(peft, updates, rank, LORA["alpha"])
    write_manifest(peft, {"format": "peft", **origin})


def forget(folder: Path) -> None:
    """Puts `folder` on the disk and takes its files out of the page cache: each way starts from the same state."""
    os.sync()
    for path in folder.glob("*.safetensors"):
        with open(path, "rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def array_of(folder: Path, name: str) -> np.ndarray:
    """One tensor of a bfloat16 checkpoint as float32."""
    location = ModelFolder.at(str(folder))
    tensor = next(tensor for tensor in read_tensors(location) if tensor.name == name)
    stored = bytearray(tensor.size_bytes)
    with location.open_read(tensor.file) as handle:
        handle.seek(tensor.offset)
        read_exactly(handle, memoryview(stored), tensor.file)
    return np.frombuffer(stored, ml_dtypes.bfloat16).astype(np.float32).reshape(tensor.shape)


def agreement(first: Path, second: Path, name: str) -> dict[str, float]:
    """How two merges of the same tensor differ: float32 sums in another order may round to the next bfloat16."""
    a, b = array_of(first, name), array_of(second, name)
    return {"equal_share": float((a == b).mean()), "max_abs_difference": float(np.abs(a - b).max())}


def commands(folder: Path, peers: bool) -> dict[str, tuple[list[str], Path]]:
    """Way -> its command and what it writes."""
    base, out = folder / "base", {way: folder / way for way in ("cp", "streamed", *PEERS)}
    settings = json.dumps({"lora": LORA, "shard_size_gb": SHARD_GB})
    launch = [sys.executable, "envs/launch.py", "torch", "python", "-m", "benchmarks.merge_peers"]
    ways = {
        "cp": ["cp", "-r", str(base), str(out["cp"])],
        "streamed": [
            sys.executable, "-m", "scripts.merge.merge", "--settings", settings, "--base-model", str(base),
            "--adapter", str(folder / "orbax/manifest.json"), "--output", str(out["streamed"]),
            "--jobs", str(len(os.sched_getaffinity(0))),
        ],
        **{way: [*launch, way, str(base), str(folder / "peft"), str(out[way])] for way in PEERS if peers},
    }  # fmt: skip
    return {way: (command, out[way]) for way, command in ways.items()}


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    layers = max(1, round((args.size_gb - 2e-9 * VOCABULARY * WIDTH) / LAYER_GB))
    with tempfile.TemporaryDirectory(prefix="bench-merge-", dir=args.folder) as name:
        folder = Path(name)
        base = write_base(folder / "base", layers)
        write_adapters(folder / "orbax", folder / "peft", base, layers)
        weight_bytes = sum(entry["size_bytes"] for file, entry in base["files"].items() if file.endswith("safetensors"))
        result: dict[str, Any] = {
            "model_bytes": weight_bytes,
            "layers": layers,
            "largest_tensor_bytes": 2 * VOCABULARY * WIDTH,
            "load_average_at_start": os.getloadavg()[0],
            "ways": {},
        }
        for way, (command, written) in commands(folder, not args.without_peers).items():
            forget(folder / "base")
            measured = measure(command)
            result["ways"][way] = {**asdict(measured), "gb_per_sec": weight_bytes / measured.seconds / 1e9}
            if way in PEERS:
                checked = f"{CHECKPOINT_PREFIX}layers.0.mlp.up_proj.weight"
                result["ways"][way]["streamed_against_it"] = agreement(folder / "streamed", written, checked)
            if way != "streamed":
                shutil.rmtree(written)
        ways = result["ways"]
        result["streamed_speed_of_cp"] = ways["cp"]["seconds"] / ways["streamed"]["seconds"]
        bound = (1 << 30) + 2 * result["largest_tensor_bytes"]
        result["peak_memory_within_bound"] = ways["streamed"]["peak_memory_bytes"] < bound
        result["load_average_at_end"] = os.getloadavg()[0]
    write_json(args.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
