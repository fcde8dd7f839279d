"""Writes an adapter, Tunix's or PEFT's, as a PEFT adapter that PEFT loads and vLLM serves beside the base model."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import read_json, read_manifest, write_manifest
from scripts.common.lora import LoraSettings
from scripts.common.settings import parse_settings
from scripts.merge.adapters import read_adapter
from scripts.merge.peft_format import write_peft


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of LoraSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapter")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write; the adapter goes beside it")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    lora = parse_settings(LoraSettings, args.settings)
    base = read_manifest(args.base_model)
    model_config = read_json(args.base_model.parent / "config.json")
    adapter = read_adapter(args.adapter, model_config, base["files"], lora)
    folder = args.output.parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_peft(folder, adapter.updates, lora.rank, lora.alpha)
    write_manifest(folder, {**adapter.manifest, "format": "peft"})


if __name__ == "__main__":
    main()
