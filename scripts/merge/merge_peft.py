"""Merges a PEFT adapter into the base model with PEFT's own merge_and_unload."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import safetensors

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_manifest
from scripts.merge.publish import finish_folder, start_folder, weight_shards


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapter")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write; the model goes beside it")
    return parser.parse_args(argv)


def tensor_names(folder: Path) -> set[str]:
    names: set[str] = set()
    for shard in weight_shards(folder):
        with safetensors.safe_open(shard, framework="pt") as tensors:
            names |= set(tensors.keys())
    return names


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from scripts.common.hf_gemma4 import load_model
    from scripts.merge.hf_models import load_with_adapter

    read_manifest(args.base_model)
    adapter = read_manifest(args.adapter)
    base, output = args.base_model.parent, args.output.parent
    merged = load_with_adapter(load_model(base, "auto"), args.adapter.parent).merge_and_unload()
    start_folder(output)
    with tempfile.TemporaryDirectory(dir=output) as scratch:
        merged.save_pretrained(scratch)
        if missing := tensor_names(base) ^ tensor_names(Path(scratch)):
            raise UserError(f"merged model: tensors differ from the base's by name, {sorted(missing)[:3]} among them")
        for path in Path(scratch).glob("*.safetensors*"):
            shutil.move(path, output / path.name)
    finish_folder(output, base, {key: adapter[key] for key in ("format", "lora", "step")})


if __name__ == "__main__":
    main()
