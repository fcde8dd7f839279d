"""Every family in small: a checkpoint that transformers wrote, its logits, LoRA and gradient in Tunix."""

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
from tunix.models.gemma4 import model as gemma4

from scripts.common import tunix_gemma4
from scripts.common.gemma4_layers import lora_parameters
from scripts.common.lora import LoraSettings, LoraTargets
from scripts.common.tunix_config import model_config
from scripts.common.tunix_step import answer_loss, document_mask
from tests.unit.common.published_gemma4 import FAMILIES, published


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    writer = [sys.executable, "envs/launch.py", "torch", "python", "-m", "tests.unit.common.write_families"]
    subprocess.run([*writer, str(folder)], check=True)
    return folder


def loaded(folder: Path) -> gemma4.Gemma4:
    mesh = tunix_gemma4.make_mesh(1, 1)
    with mesh:
        return tunix_gemma4.load_model(folder, mesh, "float32")


@nnx.jit
def logits_of(model: nnx.Module, tokens: jax.Array) -> jax.Array:
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    return model(tokens, positions, None, document_mask(jnp.ones_like(tokens)))[0]


@pytest.mark.parametrize("size", FAMILIES)
def test_tunix_and_transformers_agree_on_every_family(checkpoints: Path, size: str) -> None:
    expected = np.load(checkpoints / size / "expected.npz")
    logits = logits_of(loaded(checkpoints / size), jnp.asarray(expected["tokens"]))
    assert np.abs(expected["logits"]).max() > 1
    np.testing.assert_allclose(np.asarray(logits), expected["logits"], atol=5e-4)


@pytest.mark.parametrize("size", FAMILIES)
def test_lora_lands_on_its_targets_and_learns(checkpoints: Path, size: str) -> None:
    """As many parameters as the formula says, and with the shared layers' own a gradient in every B."""
    mesh = tunix_gemma4.make_mesh(1, 1)
    model = tunix_gemma4.add_lora(loaded(checkpoints / size), LoraSettings(4, 4.0, 0.0, "all"), mesh, seed=0)
    tunix_gemma4.rematerialize_decoder_layers(model)
    state = nnx.state(model, nnx.LoRAParam)
    config = json.loads((checkpoints / size / "config.json").read_text())
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == lora_parameters(config, 4, "all")
    tokens = jnp.asarray(np.load(checkpoints / size / "expected.npz")["tokens"])
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    gradient = nnx.jit(nnx.grad(answer_loss, argnums=nnx.DiffState(0, nnx.LoRAParam)))
    found = gradient(model, tokens, positions, jnp.ones_like(tokens), jnp.full(tokens.shape, 0.1))
    of_b = [leaf for path, leaf in nnx.to_flat_state(found) if str(path[-1]).endswith("_b")]
    assert of_b
    assert all(float(jnp.abs(leaf[...]).max()) > 0 for leaf in of_b)


@pytest.mark.parametrize(
    ("size", "period", "targets"),
    [("31B", 6, "published"), ("31B", 6, "all"), ("26B-A4B", 6, "all"), ("E2B", 10, "all")],
)
def test_the_formula_is_what_qwix_injects_at_full_width(size: str, period: int, targets: LoraTargets) -> None:
    """The first layers of a published size, without any weight: a whole period of its attention pattern, and for E2B
    a second one, whose MLPs are wider, that shares the keys and values of the first."""
    text = {**published(size), "num_hidden_layers": period, "layer_types": published(size)["layer_types"][:period]}
    text["num_kv_shared_layers"] = 5 if size == "E2B" else 0

    def make() -> nnx.Module:
        model = tunix_gemma4.gemma4_model(model_config(text, "bfloat16"), rngs=nnx.Rngs(0))
        return tunix_gemma4.inject_lora(model, LoraSettings(64, 64.0, 0.0, targets), seed=0)

    state = nnx.state(nnx.eval_shape(make), nnx.LoRAParam)
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == lora_parameters(text, 64, targets)
