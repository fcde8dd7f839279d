"""The Tunix arm's loss, schedule and batches against independent statements of each."""

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax.numpy as jnp

from scripts.common.lora import LoraSettings
from scripts.common.token_rows import TokenRows
from scripts.train.settings import TrainSettings
from scripts.train.tunix_trainer import answer_loss, learning_rate_schedule, micro_batches
from tests.unit.train.example_loss import LOGITS, MASK, TOKENS, expected_loss

SETTINGS = TrainSettings(
    arm="tpu", seed=0, hardware="laptop", hardware_kind="cpu", epochs=1, samples_per_step=4, micro_batch_size=2,
    lora=LoraSettings(8, 8.0, 0.0, "all"), peak_learning_rate=1e-3, warmup_steps=10, weight_decay=0.0,
    dtype="float32", remat="none", checkpoint_interval_steps=10, checkpoints_kept=1, max_seq_len_tokens=6,
)  # fmt: skip


def test_the_loss_is_a_mean_per_sample_then_over_samples() -> None:
    def model(*_: Any) -> tuple[Any, None]:
        return jnp.asarray(LOGITS), None

    loss = answer_loss(model, jnp.asarray(TOKENS), jnp.asarray(MASK), jnp.ones((2, 5), int))  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(expected_loss(), rel=1e-5)


def test_the_schedule_is_linear_warm_up_then_cosine_to_zero() -> None:
    schedule = learning_rate_schedule(SETTINGS, steps=200)
    assert float(schedule(0)) == 0.0
    assert float(schedule(5)) == pytest.approx(0.5e-3)
    assert float(schedule(10)) == pytest.approx(1e-3)
    for step in (50, 105, 150):
        expected = 0.5e-3 * (1 + math.cos(math.pi * (step - 10) / 190))
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)
    assert float(schedule(200)) == pytest.approx(0.0, abs=1e-9)


def test_micro_batches_follow_the_order() -> None:
    rows = TokenRows([np.full(3, i, np.int32) for i in range(4)], [np.array([0, 1, 1])] * 4)
    order = np.array([[2, 0, 3, 1]])
    batches = list(micro_batches(rows, order, micro_batch_size=2, seq_len=6))
    assert [batch.tokens[:, 0].tolist() for batch in batches] == [[2, 0], [3, 1]]
    assert batches[0].valid.sum() == 6


def test_accumulated_micro_batches_have_the_loss_of_the_whole_step() -> None:
    """Means of equal-sized micro-batches average to the mean over all samples."""
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((4, 5, 7)).astype(np.float32)
    tokens, mask = (
        rng.integers(0, 7, (4, 5)),
        np.array([[0, 1, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 1, 1, 0], [0, 1, 0, 0, 0]]),
    )

    def loss(part: slice) -> float:
        def model(*_: Any) -> tuple[Any, None]:
            return jnp.asarray(logits[part]), None

        ones = jnp.ones_like(jnp.asarray(tokens[part]))
        return float(answer_loss(model, jnp.asarray(tokens[part]), jnp.asarray(mask[part]), ones))  # type: ignore[arg-type]

    assert np.mean([loss(slice(0, 2)), loss(slice(2, 4))]) == pytest.approx(loss(slice(0, 4)), rel=1e-5)
    assert replace(SETTINGS, samples_per_step=4).accumulation_steps(1) == 2
