"""The shipped configuration and hardware, with changes over them, and what validation says: for the tests of both."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from scripts.common.config import validate_config
from scripts.common.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = yaml.safe_load((ROOT / "config.yaml").read_text())
PAPER = yaml.safe_load((ROOT / "configs/paper.yaml").read_text())
HARDWARE = yaml.safe_load((ROOT / "resources/hardware.yaml").read_text())


def merged(config: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Snakemake's overlay: mappings merge, everything else replaces."""
    result = copy.deepcopy(config)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


# The shipped configuration with the values that the tests below speak of.
CONFIG = merged(
    SHIPPED,
    {
        "data": {"max_rows": None},
        "train": {"epochs": 2, "samples_per_step": 16, "micro_batch_size": 8, "warmup_steps": 20},
        "serve": {"max_model_len_tokens": 512},
        "bench": {"contexts": [{"input_tokens": 64, "output_tokens": 32}]},
        "verilog": {"samples_per_problem": 5, "pass_at_k": [1, 5], "max_new_tokens": 192},
    },
)


def arms(index: int, **changes: Any) -> dict[str, Any]:
    """The default arms as an overlay, with keys of one arm changed."""
    entries = copy.deepcopy(CONFIG["arms"])
    entries[index] = merged(entries[index], changes)
    return {"arms": entries}


def problems(overlay: dict[str, Any], hardware: dict[str, Any] | None = None) -> list[str]:
    """The lines that validation gives for `CONFIG` with `overlay` over it."""
    try:
        validate_config(merged(CONFIG, overlay), merged(HARDWARE, hardware or {}))
    except UserError as error:
        return str(error).split("\n")
    return []
