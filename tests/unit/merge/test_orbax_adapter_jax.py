"""Factors read straight from Orbax are the ones that were saved; a broken checkpoint is one line."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import orbax.checkpoint as ocp

from scripts.common.errors import UserError
from scripts.merge.orbax_adapter import flatten, pair_factors, read_orbax


def test_saved_factors_come_back(tmp_path: Path) -> None:
    a, b = np.arange(6.0, dtype=np.float32).reshape(3, 2), np.ones((2, 4), np.float32)
    tree = {"layers": {"0": {"mlp": {"up_proj": {"kernel_lora_a": {"value": a}, "kernel_lora_b": {"value": b}}}}}}
    ocp.PyTreeCheckpointer().save(tmp_path / "params", tree)
    adapter = read_orbax(tmp_path / "params")
    assert set(adapter) == {"layers.0.mlp.up_proj"}
    np.testing.assert_array_equal(adapter["layers.0.mlp.up_proj"].a, a)
    np.testing.assert_array_equal(adapter["layers.0.mlp.up_proj"].b, b)


def test_a_folder_that_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a readable Orbax checkpoint"):
        read_orbax(tmp_path)


def test_a_factor_alone_or_unknown_is_named() -> None:
    with pytest.raises(UserError, match=r"layers\.0\.attn\.q_einsum has factor a only"):
        pair_factors(flatten({"layers": {"0": {"attn": {"q_einsum": {"w_lora_a": np.ones((2, 2))}}}}}))
    with pytest.raises(UserError, match="is not a LoRA factor"):
        pair_factors({"layers.0.attn.q_einsum.w": np.ones(2)})
