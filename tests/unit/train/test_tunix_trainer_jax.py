"""The Tunix arm's loss, schedule and batches against independent statements of each."""

import math
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from tunix.sft import hooks, peft_trainer

from scripts.common import tunix_gemma4
from scripts.common.batching import BatchingMode, BatchingSettings
from scripts.common.lora import LoraSettings
from scripts.common.token_rows import batch_arrays
from scripts.common.tunix_step import (
    LOSSES,
    Batch,
    accumulating,
    answer_loss,
    document_mask,
    recording_gradient_norm,
    train_step,
)
from scripts.train.settings import TrainSettings
from scripts.train.tunix_trainer import MicroBatchTrainer, batches_from, learning_rate_schedule, trainable_model
from tests.unit.train.example_loss import LOGITS, TOKENS, WEIGHTS, expected_loss
from tests.unit.train.tiny_rows import TINY_ROWS, tiny_plan

MINI = Path("resources/mini/model")
SETTINGS = TrainSettings(
    arm="tpu", seed=0, hardware="laptop", hardware_kind="cpu", epochs=1, samples_per_step=8, micro_batch_size=2,
    lora=LoraSettings(4, 8.0, 0.0, "all"), peak_learning_rate=1e-3, warmup_steps=10, weight_decay=0.0,
    dtype="float32", remat="none", checkpoint_interval_steps=10, checkpoints_kept=1,
    batching=BatchingSettings("pad", None, 96),
)  # fmt: skip


def test_the_loss_is_a_mean_per_sample_then_over_samples() -> None:
    def model(*_: Any) -> tuple[Any, None]:
        return jnp.asarray(LOGITS), None

    ones = jnp.ones((2, 5), int)
    loss = answer_loss(model, jnp.asarray(TOKENS), ones, ones, jnp.asarray(WEIGHTS))  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(expected_loss(), rel=1e-5)


def test_a_query_sees_its_own_document_up_to_itself() -> None:
    mask = document_mask(jnp.array([[1, 1, 2, 2, 0]]))
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(mask[0], np.array(expected, bool))


def test_the_schedule_is_linear_warm_up_then_cosine_to_zero() -> None:
    schedule = learning_rate_schedule(SETTINGS, steps=200)
    assert float(schedule(0)) == 0.0
    assert float(schedule(5)) == pytest.approx(0.5e-3)
    assert float(schedule(10)) == pytest.approx(1e-3)
    for step in (50, 105, 150):
        expected = 0.5e-3 * (1 + math.cos(math.pi * (step - 10) / 190))
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)
    assert float(schedule(200)) == pytest.approx(0.0, abs=1e-9)


@pytest.fixture(scope="module")
def model() -> nnx.Module:
    """The mini model with LoRA factors that are no longer zero, so that every gradient is there."""
    mesh = tunix_gemma4.make_mesh(1, 1)
    with mesh:
        model = trainable_model(SETTINGS, MINI, mesh)
    state = nnx.state(model, nnx.LoRAParam)
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    drawn = [0.1 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    nnx.update(model, jax.tree.unflatten(tree, drawn))
    return model


def loss_and_gradient(model: nnx.Module, mode: BatchingMode, rows: int) -> tuple[float, np.ndarray]:
    """Of one step: the losses of its micro-batches added up, and their gradients, end to end."""
    grad_fn = nnx.jit(nnx.value_and_grad(answer_loss, argnums=nnx.DiffState(0, nnx.LoRAParam)))
    total_loss, total = 0.0, None
    plan = tiny_plan(mode, rows)
    for batch in batches_from(TINY_ROWS, plan, 0):
        loss, gradients = grad_fn(model, batch.tokens, batch.positions, batch.documents, batch.loss_weights)
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradients)])
        total_loss, total = total_loss + float(loss), flat if total is None else total + flat
    return total_loss, total


def test_every_batching_mode_has_the_same_loss_and_gradient(model: nnx.Module) -> None:
    reference_loss, reference = loss_and_gradient(model, "pad", 1)
    assert np.abs(reference).max() > 1e-3
    for mode, rows in (("bucket", 2), ("pack", 1)):
        loss, gradient = loss_and_gradient(model, mode, rows)  # type: ignore[arg-type]
        assert loss == pytest.approx(reference_loss, rel=1e-5)
        assert np.abs(gradient - reference).max() <= 1e-5 * np.abs(reference).max()


def test_an_optimizer_step_takes_as_many_micro_batches_as_it_has() -> None:
    parameters = {"w": jnp.zeros(3)}
    optimizer = accumulating(optax.sgd(1.0), np.array([2, 1, 3]))
    state = optimizer.init(parameters)
    seen = []
    for number in range(1, 7):
        updates, state = optimizer.update({"w": jnp.full(3, float(number))}, state, parameters)
        seen.append(float(updates["w"][0]))
    assert seen == [0, -(1 + 2), -3, 0, 0, -(4 + 5 + 6)]


def test_train_step_is_the_optimizers_step_on_the_sum_of_the_gradients(model: nnx.Module) -> None:
    graph, before = nnx.split(model)
    before = jax.tree.map(jnp.copy, before)
    fresh = nnx.merge(graph, jax.tree.map(jnp.copy, before))
    plan = tiny_plan("pack", 1)
    descent = optax.chain(recording_gradient_norm(None), optax.sgd(1.0))
    optimizer = nnx.Optimizer(fresh, accumulating(descent, plan.micro_batches_per_step), wrt=nnx.LoRAParam)
    for micro_batch in plan.micro_batches:
        train_step(fresh, optimizer, Batch(**batch_arrays(TINY_ROWS, micro_batch, 8)))
    old, new = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(nnx.state(nnx.merge(graph, s), nnx.LoRAParam))])
        for s in (before, nnx.split(fresh)[1])
    )
    _, gradient = loss_and_gradient(nnx.merge(graph, before), "pack", 1)
    np.testing.assert_allclose(old - new, gradient, atol=1e-5 * np.abs(gradient).max())


def test_the_trainer_takes_over_the_models_memory_and_changes_lora_only() -> None:
    mesh = tunix_gemma4.make_mesh(1, 1)
    plan = tiny_plan("pack", 1)
    with mesh:
        model = trainable_model(SETTINGS, MINI, mesh)
        before = jax.tree.leaves(nnx.state(model, nnx.Not(nnx.LoRAParam)))
        values = [np.array(leaf) for leaf in before]
        trainer = MicroBatchTrainer(
            model,
            accumulating(optax.chain(recording_gradient_norm(None), optax.sgd(1.0)), plan.micro_batches_per_step),
            peft_trainer.TrainingConfig(eval_every_n_steps=100),
        )
        trainer.with_training_hooks(Mock(spec=hooks.TrainingHooks))
        trainer.data_sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("fsdp"))
        trainer.loss = LOSSES["plain"]
        trainer.train(batches_from(TINY_ROWS, plan, 0))
    assert len(before) > 50
    assert all(leaf.is_deleted() for leaf in before)
    after = jax.tree.leaves(nnx.state(model, nnx.Not(nnx.LoRAParam)))
    for value, leaf in zip(values, after, strict=True):
        np.testing.assert_array_equal(value, leaf)
    lora = nnx.state(model, nnx.LoRAParam)
    factors_b = [leaf for path, leaf in jax.tree.leaves_with_path(lora) if "lora_b" in str(path)]
    assert max(float(jnp.abs(leaf).max()) for leaf in factors_b) > 0


def test_batches_start_at_any_position_and_split_by_process() -> None:
    plan = tiny_plan("bucket", 2)
    whole = list(batches_from(TINY_ROWS, plan, 0))
    rest = list(batches_from(TINY_ROWS, plan, 2))
    assert len(whole) == 4
    for one, other in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
    halves = [list(batches_from(TINY_ROWS, plan, 0, process, 2)) for process in range(2)]
    for batch, *parts in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(batch.tokens, np.concatenate([part.tokens for part in parts]))
