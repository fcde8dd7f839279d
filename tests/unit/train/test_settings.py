"""Accumulation is what is left of a step after micro-batches and data shards."""

import pytest

from scripts.common.lora import LoraSettings
from scripts.train.settings import TrainSettings


def run(samples_per_step: int, micro_batch_size: int) -> TrainSettings:
    return TrainSettings(
        arm="tpu", seed=0, hardware="laptop", hardware_kind="cpu", epochs=1, samples_per_step=samples_per_step,
        micro_batch_size=micro_batch_size, lora=LoraSettings(8, 8.0, 0.0, "all"), peak_learning_rate=1e-3,
        warmup_steps=1, weight_decay=0.0, dtype="float32", remat="none", checkpoint_interval_steps=10,
        checkpoints_kept=1, max_seq_len_tokens=64,
    )  # fmt: skip


def test_the_papers_step_is_eight_micro_batches_of_one() -> None:
    assert run(8, 1).accumulation_steps(data_shards=1) == 8
    assert run(8, 1).accumulation_steps(data_shards=2) == 4


def test_a_step_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="8 is not a multiple of micro_batch_size 4 x 3"):
        run(8, 4).accumulation_steps(data_shards=3)
