"""What decides a trained model, for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scripts.common.devices import HardwareKind
from scripts.common.lora import LoraSettings


@dataclass(frozen=True)
class TrainSettings:
    """One training run. See `train` in config.yaml for units; the rest comes from the arm."""

    arm: str
    seed: int
    hardware: str
    hardware_kind: HardwareKind
    epochs: int
    samples_per_step: int
    micro_batch_size: int
    lora: LoraSettings
    peak_learning_rate: float
    warmup_steps: int
    weight_decay: float
    dtype: Literal["float32", "bfloat16"]
    remat: Literal["none", "decoder"]
    checkpoint_interval_steps: int
    checkpoints_kept: int
    max_seq_len_tokens: int

    def accumulation_steps(self, data_shards: int) -> int:
        """Forward passes of one optimizer step: samples_per_step / (micro_batch_size x data_shards).

        Raises ValueError when that is not a whole number.
        """
        together = self.micro_batch_size * data_shards
        if self.samples_per_step % together:
            raise ValueError(
                f"samples_per_step {self.samples_per_step} is not a multiple of micro_batch_size "
                f"{self.micro_batch_size} x {data_shards} data shards"
            )
        return self.samples_per_step // together


def total_steps(rows: int, epochs: int, samples_per_step: int) -> int:
    """Optimizer steps of a run; the rows that do not fill an epoch's last step are left out, as the paper does."""
    return epochs * (rows // samples_per_step)


def clamped_warmup(warmup_steps: int, steps: int) -> int:
    """Warm-up steps, at most a tenth of a short run, so that the peak rate is reached at all (paper, section 3.7)."""
    return min(warmup_steps, max(1, steps // 10))
