"""Merges a Tunix adapter (Orbax) into the base model's safetensors, shard by shard, under the same names."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import safetensors
from tqdm import tqdm

from scripts.common.errors import entry_point
from scripts.common.files import read_manifest
from scripts.merge.layout import LowRankUpdate, apply_update, check_updates, updates_of_adapter
from scripts.merge.publish import finish_folder, start_folder, weight_shards


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapter")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write; the model goes beside it")
    return parser.parse_args(argv)


def tensor_shapes(shards: list[Path]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor, from the files' headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for shard in shards:
        with safetensors.safe_open(shard, framework="numpy") as tensors:
            shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    return shapes


def merge_shard(source: Path, target: Path, updates: dict[str, LowRankUpdate]) -> None:
    """Writes `source` with its updates applied; tensors without one keep their bytes."""
    import jax.numpy as jnp
    import numpy as np
    import safetensors.flax  # knows bfloat16, which safetensors.numpy does not

    with safetensors.safe_open(source, framework="numpy") as tensors:
        metadata = tensors.metadata()
    weights = safetensors.flax.load_file(source)
    for name in weights.keys() & updates.keys():
        weights[name] = jnp.asarray(apply_update(np.asarray(weights[name]), updates[name]))
    safetensors.flax.save_file(weights, target, metadata=metadata)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ["JAX_PLATFORMS"] = "cpu"  # the merge needs no accelerator
    from scripts.merge.orbax_adapter import read_adapter

    read_manifest(args.base_model)
    adapter = read_manifest(args.adapter)
    base, output = args.base_model.parent, args.output.parent
    shards = weight_shards(base)
    updates = updates_of_adapter(read_adapter(args.adapter.parent / "model_params"), adapter["lora"]["alpha"])
    check_updates(updates, tensor_shapes(shards))
    start_folder(output)
    for shard in tqdm(shards, desc="merge", unit="shard"):
        merge_shard(shard, output / shard.name, updates)
    index = base / "model.safetensors.index.json"
    if index.is_file():
        shutil.copyfile(index, output / index.name)
    finish_folder(output, base, {key: adapter[key] for key in ("format", "lora", "step")})


if __name__ == "__main__":
    main()
