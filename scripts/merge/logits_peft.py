"""Logits of the model as trained with PEFT, base plus adapter, on the probe rows: what the merge must reproduce."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import read_manifest
from scripts.common.settings import parse_settings
from scripts.merge.probe import Dtype, read_probe, save_arrays


@dataclass(frozen=True)
class PeftLogitsSettings:
    """The types of weights and activations, and on how many rows the model is compared."""

    dtypes: tuple[Dtype, ...]
    prompts: int


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of PeftLogitsSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the PEFT adapter")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument(
        "--output", type=Path, required=True, help="npz to write: an array a type, (rows, positions, vocabulary)"
    )
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(PeftLogitsSettings, args.settings)
    from scripts.common.hf_gemma4 import load_model
    from scripts.merge.hf_models import load_with_adapter, probe_logits

    read_manifest(args.base_model)
    read_manifest(args.adapter)
    probe = read_probe(args.tokens, settings.prompts)
    logits = {
        dtype: probe_logits(load_with_adapter(load_model(args.base_model.parent, dtype), args.adapter.parent), probe)
        for dtype in settings.dtypes
    }
    save_arrays(args.output, logits)


if __name__ == "__main__":
    main()
