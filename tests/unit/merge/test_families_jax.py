"""Every kind of layer of every family in small: a base that transformers wrote, with LoRA by Qwix and random factors,
computes in Tunix what the merged model does; and the adapter survives the way to PEFT's format and back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from flax import nnx

from scripts.common import tunix_gemma4
from scripts.common.files import read_json, write_manifest
from scripts.common.lora import LoraSettings, LoraTargets
from scripts.common.tunix_step import document_mask
from scripts.merge.layout import LoraFactors, expected_modules, updates_of_adapter
from scripts.merge.merge import main
from scripts.merge.orbax_adapter import write_orbax
from scripts.merge.peft_format import read_peft, without_v_of_k, write_peft
from scripts.merge.to_tunix import modules_of_updates
from tests.unit.common.published_gemma4 import FAMILIES

RANK, ALPHA = 4, 8.0


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    writer = [sys.executable, "envs/launch.py", "torch", "python", "-m", "tests.unit.common.write_families"]
    subprocess.run([*writer, str(folder)], check=True)
    return folder


def base_with_lora(folder: Path, targets: LoraTargets) -> tuple[nnx.Module, dict[str, LoraFactors]]:
    """The family's model with random factors, B too, and these by module."""
    mesh = tunix_gemma4.make_mesh(1, 1)
    with mesh:
        model = tunix_gemma4.load_model(folder, mesh, "float32")
    model = tunix_gemma4.add_lora(model, LoraSettings(RANK, ALPHA, 0.0, targets), mesh, seed=0)
    rng = np.random.default_rng(0)
    flat = dict(nnx.to_flat_state(nnx.state(model, nnx.LoRAParam)))
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for path, parameter in flat.items():
        value = 0.1 * rng.standard_normal(parameter.shape, np.float32)
        parameter.set_value(jnp.asarray(value))
        pairs.setdefault(".".join(map(str, path[:-1])), {})[str(path[-1])[-1]] = value
    nnx.update(model, nnx.from_flat_state(flat))
    return model, {module: LoraFactors(**pair) for module, pair in pairs.items()}


@nnx.jit
def logits_of(model: nnx.Module, tokens: jax.Array) -> jax.Array:
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    return model(tokens, positions, None, document_mask(jnp.ones_like(tokens)))[0]


@pytest.mark.parametrize("size", FAMILIES)
def test_the_merged_model_is_base_plus_lora(checkpoints: Path, tmp_path: Path, size: str) -> None:
    base = checkpoints / size
    model, factors = base_with_lora(base, "all")
    config = read_json(base / "config.json")
    assert factors.keys() == expected_modules(config["text_config"], "all")
    write_orbax(tmp_path / "adapter/model_params", factors)
    lora = {"rank": RANK, "alpha": ALPHA, "dropout": 0.0, "targets": "all"}
    adapter = write_manifest(tmp_path / "adapter", {"format": "orbax", "lora": lora, "base_source": size, "step": 1})
    settings = json.dumps({"lora": lora, "shard_size_gb": 5e-5})
    files = ["--base-model", str(base), "--adapter", str(adapter), "--output", str(tmp_path / "merged")]
    main(["--settings", settings, *files])
    tokens = jnp.asarray(np.load(base / "expected.npz")["tokens"])
    mesh = tunix_gemma4.make_mesh(1, 1)
    with mesh:
        merged = tunix_gemma4.load_model(tmp_path / "merged", mesh, "float32")
    wanted = np.asarray(logits_of(model, tokens))
    np.testing.assert_allclose(np.asarray(logits_of(merged, tokens)), wanted, atol=5e-4)
    assert np.abs(wanted - np.load(base / "expected.npz")["logits"]).max() > 0.1  # the adapter counts


@pytest.mark.parametrize("size", FAMILIES)
def test_published_targets_are_what_tunix_makes_of_them(checkpoints: Path, size: str) -> None:
    _, factors = base_with_lora(checkpoints / size, "published")
    text = read_json(checkpoints / size / "config.json")["text_config"]
    assert factors.keys() == expected_modules(text, "published")


@pytest.mark.parametrize("size", FAMILIES)
def test_the_way_to_peft_and_back(checkpoints: Path, tmp_path: Path, size: str) -> None:
    _, factors = base_with_lora(checkpoints / size, "all")
    text = read_json(checkpoints / size / "config.json")["text_config"]
    write_peft(tmp_path, updates_of_adapter(factors, ALPHA), RANK, ALPHA)
    back, rank, alpha = modules_of_updates(without_v_of_k(read_peft(tmp_path), text), text)
    assert (rank, alpha) == (RANK, ALPHA)
    assert back.keys() == factors.keys()
    for module, pair in factors.items():
        np.testing.assert_array_equal(back[module].a, pair.a, err_msg=module)
        np.testing.assert_array_equal(back[module].b, pair.b, err_msg=module)
