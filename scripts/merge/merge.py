"""Merges an adapter, Tunix's or PEFT's, into the base model's safetensors, streaming, under the same names.

Base and target may be folders or URLs (gs://, s3://). The target's folder is the merged model's alone: what else lies
in it is removed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError, entry_point
from scripts.common.files import MANIFEST_NAME, fingerprint
from scripts.common.lora import LoraSettings
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.merge.adapters import read_adapter
from scripts.merge.checkpoint import plan_shards, read_tensors
from scripts.merge.folders import ModelFolder
from scripts.merge.stream import check_updates, stream_model


@dataclass(frozen=True)
class MergeSettings:
    """The run's LoRA, and the largest shard to write, in GB (10^9 bytes)."""

    lora: LoraSettings
    shard_size_gb: float

    def __post_init__(self) -> None:
        if self.shard_size_gb <= 0:
            raise ValueError(f"shard_size_gb must be positive, found {self.shard_size_gb}")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of MergeSettings")
    parser.add_argument("--base-model", required=True, help="the base model: its folder or manifest, or a URL")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapter, on this machine")
    parser.add_argument("--output", required=True, help="manifest to write, or a URL; the model goes beside it")
    parser.add_argument("--jobs", type=int, default=2, help="shards written at once (default 2)")
    return parser.parse_args(argv)


def base_manifest(base: ModelFolder) -> dict[str, Any] | None:
    """The manifest of the base model, where it has one, after a check that its files have their sizes."""
    sizes = base.sizes()
    if MANIFEST_NAME not in sizes:
        return None
    manifest: dict[str, Any] = base.read_json(MANIFEST_NAME)
    for name, entry in manifest["files"].items():
        if sizes.get(name) != entry["size_bytes"]:
            raise UserError(f"{base}/{name}: {entry['size_bytes']} bytes promised, found {sizes.get(name, 'nothing')}")
    return manifest


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(MergeSettings, args.settings)
    base, target = ModelFolder.at(args.base_model), ModelFolder.at(args.output)
    if base == target:
        raise UserError(f"{target}: is the base model's folder; choose another for the merged model")
    manifest = base_manifest(base)
    tensors = read_tensors(base)
    files = manifest["files"] if manifest else None
    adapter = read_adapter(args.adapter, base.read_json("config.json"), files, settings.lora)
    check_updates(adapter.updates, tensors)
    identity = fingerprint(  # of a killed merge that may be taken up again
        {
            "base": [[tensor.name, tensor.file, tensor.offset, tensor.dtype, tensor.shape] for tensor in tensors],
            "base_files": files or {tensor.file: base.version(tensor.file) for tensor in tensors},
            "adapter": adapter.manifest["files"],
            "settings": args.settings,
            "code": provenance("scripts.merge.merge", {})["code_sha256"],
        }
    )
    shards = plan_shards(tensors, int(settings.shard_size_gb * 1e9))
    stream_model(
        base, target, shards, adapter.updates, identity, {"source": "merged", "adapter": adapter.origin}, args.jobs
    )


if __name__ == "__main__":
    main()
