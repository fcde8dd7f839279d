"""The training step's loss: plain against a direct statement, chunked against plain, on six small layers."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from tunix.models.gemma4 import model as gemma4

from scripts.common import tunix_gemma4, tunix_step
from scripts.common.lora import LoraSettings
from scripts.common.tunix_config import model_config

PUBLISHED = json.loads(Path("tests/data/gemma-4-31B-it.config.json").read_text())
ROW_LEN = 40


@pytest.fixture(scope="module")
def model() -> gemma4.Gemma4:
    """LoRA's B is random here: at its initial zero, A would have no gradient."""
    config = dataclasses.replace(
        model_config(PUBLISHED, "float32"),
        num_layers=6, num_embed=64, embed_dim=32, hidden_dim=64, num_heads=4, head_dim=8, num_kv_heads=2,
        num_global_kv_heads=1, global_key_size=16, sliding_window_size=8,
    )  # fmt: skip
    model = tunix_gemma4.inject_lora(gemma4.Gemma4(config, rngs=nnx.Rngs(0)), LoraSettings(4, 4.0, 0.0, "all"), seed=1)
    keys = iter(jax.random.split(jax.random.key(2), 1000))
    lora = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), nnx.state(model, nnx.LoRAParam))
    kernels = jax.tree.map(lambda x: 0.2 * jax.random.normal(next(keys), x.shape), nnx.state(model, nnx.Param))
    nnx.update(model, kernels)
    nnx.update(model, lora)
    return model


@pytest.fixture(scope="module")
def batch() -> tunix_step.Batch:
    rng = np.random.default_rng(0)
    documents = np.array([[1] * 15 + [2] * 20 + [0] * 5, [1] * 40])
    positions = np.array([[*range(15), *range(20), *([0] * 5)], [*range(40)]])
    weights = rng.random((2, ROW_LEN)) * (rng.random((2, ROW_LEN)) < 0.5) * (documents > 0)
    weights[:, 0] = 0.3  # no token predicts the first: its weight must not count
    tokens = rng.integers(1, 64, (2, ROW_LEN)).astype(np.int32)
    return tunix_step.Batch(tokens, positions.astype(np.int32), documents.astype(np.int32), weights.astype(np.float32))


def arguments(batch: tunix_step.Batch) -> tuple[jax.Array, ...]:
    return tuple(map(jnp.asarray, (batch.tokens, batch.positions, batch.documents, batch.loss_weights)))


def test_the_plain_loss_weighs_each_targets_log_likelihood(model: gemma4.Gemma4, batch: tunix_step.Batch) -> None:
    tokens, positions, documents, weights = arguments(batch)
    logits, _ = model(tokens, positions, None, tunix_step.document_mask(documents))
    log_probabilities = np.asarray(jax.nn.log_softmax(logits))
    expected = -sum(
        weights[row, t] * log_probabilities[row, t - 1, tokens[row, t]] for row in range(2) for t in range(1, ROW_LEN)
    )
    assert float(tunix_step.answer_loss(model, *arguments(batch))) == pytest.approx(float(expected), rel=1e-5)


def test_the_loss_and_its_gradient_are_optaxs_and_an_unlikely_target_stays_finite() -> None:
    rng = np.random.default_rng(3)
    logits = jnp.asarray(rng.normal(size=(2, 5, 32)) * 200, jnp.float32)  # softmax of some targets underflows
    targets, weights = jnp.asarray(rng.integers(0, 32, (2, 5))), jnp.asarray(rng.random((2, 5)), jnp.float32)

    def optaxs(logits: jax.Array) -> jax.Array:
        return (optax.softmax_cross_entropy_with_integer_labels(logits, targets) * weights).sum()

    expected, expected_gradient = jax.value_and_grad(optaxs)(logits)
    loss, gradient = jax.value_and_grad(tunix_step.weighted_nll)(logits, targets, weights)
    assert np.isfinite(loss)
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


def test_a_document_sees_itself_only(batch: tunix_step.Batch) -> None:
    mask = np.asarray(tunix_step.document_mask(jnp.asarray(batch.documents)))
    assert mask[0, 14, :15].all()
    assert not mask[0, 15, :15].any()
    assert not np.triu(mask[0], 1).any()


def test_chunked_cross_entropy_is_the_plain_one_in_value_and_gradient(
    model: gemma4.Gemma4, batch: tunix_step.Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunix_step, "CHUNK_TOKENS", 16)  # two and a half chunks
    wrt = nnx.DiffState(0, nnx.LoRAParam)
    (plain, plain_grads), (chunked, chunked_grads) = (
        nnx.jit(nnx.value_and_grad(loss, argnums=wrt))(model, *arguments(batch))
        for loss in (tunix_step.answer_loss, tunix_step.chunked_answer_loss)
    )
    assert float(chunked) == pytest.approx(float(plain), rel=1e-5)
    pairs = list(zip(jax.tree.leaves(plain_grads), jax.tree.leaves(chunked_grads), strict=True))
    assert len(pairs) == 6 * 2 * 6  # layers, factors, modules
    for one, other in pairs:
        assert float(jnp.abs(one).max()) > 0
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-5 * float(jnp.abs(one).max()))


def test_the_gradients_norm_is_kept_and_clipped_only_if_asked() -> None:
    gradient = {"w": jnp.array([3.0, 4.0])}
    for max_norm, expected in ((None, [3.0, 4.0]), (10.0, [3.0, 4.0]), (1.0, [0.6, 0.8])):
        transformation = tunix_step.recording_gradient_norm(max_norm)
        updates, state = transformation.update(gradient, transformation.init(gradient))
        np.testing.assert_allclose(updates["w"], expected, rtol=1e-6)
        assert float(state.norm) == pytest.approx(5.0)


def test_the_whole_samples_targets_are_all_tokens_but_each_first() -> None:
    positions, documents = jnp.array([[0, 1, 2, 0, 1, 0, 1]]), jnp.array([[1, 1, 1, 2, 2, 0, 0]])
    np.testing.assert_array_equal(tunix_step.sequence_weights(positions, documents), [[0, 1, 1, 0, 1, 0, 0]])


def test_two_weights_of_a_token_give_two_sums(model: gemma4.Gemma4, batch: tunix_step.Batch) -> None:
    tokens, positions, documents, weights = arguments(batch)
    both = jnp.stack([weights, 2 * weights])
    for loss in (tunix_step.answer_loss, tunix_step.chunked_answer_loss):
        one = float(loss(model, tokens, positions, documents, weights))
        assert loss(model, tokens, positions, documents, both).tolist() == pytest.approx([one, 2 * one], rel=1e-5)
