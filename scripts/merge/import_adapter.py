"""Writes a PEFT adapter as a Tunix adapter in Orbax: the way back from export_adapter."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import fingerprint, read_json, read_manifest, write_manifest
from scripts.merge.adapters import ORBAX_FOLDER
from scripts.merge.layout import check_modules, expected_modules
from scripts.merge.peft_format import read_peft, without_v_of_k
from scripts.merge.to_tunix import modules_of_updates


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="folder of the PEFT adapter")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write; the adapter goes beside it")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from scripts.merge.orbax_adapter import write_orbax

    base = read_manifest(args.base_model)
    config = read_json(args.base_model.parent / "config.json")
    text = config.get("text_config", config)
    modules, rank, alpha = modules_of_updates(without_v_of_k(read_peft(args.adapter), text), text)
    check_modules(modules, expected_modules(text, "all"))
    folder = args.output.parent
    shutil.rmtree(folder, ignore_errors=True)
    write_orbax(folder / ORBAX_FOLDER, modules)
    manifest = {
        "format": "orbax",
        "lora": {"rank": rank, "alpha": alpha, "dropout": 0.0, "targets": "all"},
        "base_source": base["source"],
        "base_fingerprint": fingerprint(base["files"]),
        "step": None,
    }
    write_manifest(folder, manifest)


if __name__ == "__main__":
    main()
