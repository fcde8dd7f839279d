"""What decides a trained model, for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scripts.common.batching import BatchingSettings
from scripts.common.devices import HardwareKind
from scripts.common.lora import LoraSettings, Quantization

# Of the settings below: where and how often state is saved, which decides nothing of the trained model.
CHECKPOINT_SETTINGS = ("checkpoint_interval_steps", "checkpoints_kept", "checkpoint_root")


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
    batching: BatchingSettings
    quantization: Quantization | None = None
    cross_entropy: Literal["plain", "chunked"] = "plain"
    max_grad_norm: float | None = None
    xla_flags: tuple[str, ...] = ()
    checkpoint_root: str | None = None
    held_out_rows: int = 0


def clamped_warmup(warmup_steps: int, steps: int) -> int:
    """Warm-up steps, at most a tenth of a short run, so that the peak rate is reached at all (paper, section 3.7)."""
    return min(warmup_steps, max(1, steps // 10))
