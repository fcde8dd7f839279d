"""What a training run leaves beside its adapter: metrics.jsonl, a row a step, and run.json."""

from __future__ import annotations

import json
import math
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.batching import BatchPlan
from scripts.common.errors import UserError
from scripts.common.files import read_jsonl, write_jsonl
from scripts.common.token_rows import TokenRows
from scripts.train.settings import TrainSettings

# Steps at the end whose mean is called the final loss: one step's loss is mostly its samples.
FINAL_LOSS_STEPS = 10


@dataclass(frozen=True)
class StepResult:
    """What a backend tells of an optimizer step.

    `loss` is the answers', `sequence_nll` the negative log-likelihood of every token after the first of each sample,
    summed, both in nats; `grad_norm` the norm of the step's gradient before clipping. `compile_sec` was spent compiling
    since the step before; `device_memory_peak_bytes` is the first local device's so far, None where it does not tell.
    `held_out_loss` is of the model after the step, None where it was not measured; that took `held_out_sec`, compiling
    for it included.
    """

    loss: float
    learning_rate: float
    sequence_nll: float
    grad_norm: float | None
    compile_sec: float = 0.0
    device_memory_peak_bytes: int | None = None
    held_out_loss: float | None = None
    held_out_sec: float = 0.0


def require_finite(step: int, result: StepResult) -> None:
    """Raises UserError when optimizer step `step` (from 1) has a loss or a gradient that is NaN or infinite.

    Every process must ask, of values that all of them share, before the step is recorded or saved: the newest
    checkpoint stays the one before.
    """
    measured = {
        "loss": result.loss,
        "loss of the whole samples": result.sequence_nll,
        "norm of the gradient": result.grad_norm,
        "held-out loss": result.held_out_loss,
    }
    found = [f"{name} {value}" for name, value in measured.items() if value is not None and not math.isfinite(value)]
    if found:
        raise UserError(
            f"optimizer step {step}: {', '.join(found)}: training has diverged; the step is not saved, checkpoints of "
            "earlier steps stay as they are. Lower train.peak_learning_rate, raise train.warmup_steps or set "
            "train.max_grad_norm, which starts anew; run the same again only if the machine is to blame"
        )


class MetricsLog:
    """metrics.jsonl in the state folder, appended step by step and cut back to the checkpoint on resume."""

    def __init__(self, path: Path, resumed_step: int, rows: TokenRows, plan: BatchPlan) -> None:
        kept = [row for row in read_jsonl(path) if row["step"] <= resumed_step] if path.exists() else []
        write_jsonl(path, kept)
        self.path = path
        self.rows: list[dict[str, Any]] = kept
        self.resumed_after_sec = kept[-1]["elapsed_sec"] if kept else 0.0
        self._plan = plan
        self._known_shapes: set[tuple[int, int]] = set()
        self._real_tokens = plan.real_tokens_per_step(rows.lengths)
        self._padded_tokens = plan.padded_tokens_per_step
        self._lengths = rows.lengths
        self._started = time.perf_counter()
        self.unrecorded_save_sec = 0.0

    def saved(self, seconds: float) -> None:
        """Adds the time of a checkpoint, which the next row carries."""
        self.unrecorded_save_sec += seconds

    def sample_lengths(self, step: int) -> list[int]:
        """Tokens of each sample of optimizer step `step` (from 1)."""
        samples = [sample for m in self._plan.steps[step - 1] for row in m.rows for sample in row]
        return [int(self._lengths[sample]) for sample in samples]

    def add(self, step: int, result: StepResult) -> dict[str, Any]:
        """Records optimizer step `step` (from 1), whose `result` is finite; returns its row."""
        shapes = {micro_batch.shape for micro_batch in self._plan.steps[step - 1]}
        real_tokens = int(self._real_tokens[step - 1])
        elapsed_sec = self.resumed_after_sec + time.perf_counter() - self._started
        before_sec = self.rows[-1]["elapsed_sec"] if self.rows else 0.0
        row = {
            "step": step,
            "loss": result.loss,
            "sequence_loss": result.sequence_nll / (real_tokens - self._plan.samples_per_step),
            "held_out_loss": result.held_out_loss,
            "grad_norm": result.grad_norm,
            "learning_rate": result.learning_rate,
            "real_tokens": real_tokens,
            "padded_tokens": int(self._padded_tokens[step - 1]),
            "step_sec": elapsed_sec - before_sec,
            "compile_sec": result.compile_sec,
            "save_sec": self.unrecorded_save_sec,
            "held_out_sec": result.held_out_sec,
            "elapsed_sec": elapsed_sec,
            "new_shape_in_process": not shapes <= self._known_shapes,
            "device_memory_peak_bytes": result.device_memory_peak_bytes,
            "host_memory_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        self.unrecorded_save_sec = 0.0
        self._known_shapes |= shapes
        self.rows.append(row)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
        return row


@dataclass(frozen=True)
class FinishedRun:
    """A training run that reached its last step; `adapter` is the folder of its LoRA tensors in the backend's form."""

    log: MetricsLog
    adapter: Path
    lora_parameters: int


def summarize(log: MetricsLog, train: TrainSettings, process_sec: float) -> dict[str, Any]:
    """Totals of a finished run, for run.json; `process_sec` is how long the process that finished it has run.

    `timed_*` leaves out the steps that met a shape of micro-batch for the first time in their process, whose time is
    mostly compilation, and in all steps the measuring of the held-out loss: the others' tokens over `timed_sec` are the
    throughput. The wall-clock counts all the steps, of earlier processes too, and the start of the last process; it is
    the sum of start, compile, train, held-out and save.
    """
    rows = log.rows
    durations = [
        row["elapsed_sec"] - before - row["held_out_sec"]
        for row, before in zip(rows, [0.0, *(r["elapsed_sec"] for r in rows)], strict=False)
    ]
    timed = [(row, seconds) for row, seconds in zip(rows, durations, strict=True) if not row["new_shape_in_process"]]
    train_sec = rows[-1]["elapsed_sec"]
    start_sec = process_sec - (train_sec - log.resumed_after_sec) - log.unrecorded_save_sec
    compile_sec = sum(row["compile_sec"] for row in rows)
    saved_in_steps_sec = sum(row["save_sec"] for row in rows)
    held_out_sec = sum(row["held_out_sec"] for row in rows)
    final = rows[-FINAL_LOSS_STEPS:]
    return {
        "batching": train.batching.mode,
        "optimizer_steps": len(rows),
        "samples": len(rows) * train.samples_per_step,
        "real_tokens": sum(row["real_tokens"] for row in rows),
        "padded_tokens": sum(row["padded_tokens"] for row in rows),
        "start_sec": start_sec,
        "compile_sec": compile_sec,
        "train_sec": train_sec - compile_sec - held_out_sec - saved_in_steps_sec,
        "held_out_sec": held_out_sec,
        "save_sec": saved_in_steps_sec + log.unrecorded_save_sec,
        "new_shapes_sec": train_sec - held_out_sec - sum(seconds for _, seconds in timed),
        "timed_sec": sum(seconds for _, seconds in timed),
        "timed_samples": len(timed) * train.samples_per_step,
        "timed_real_tokens": sum(row["real_tokens"] for row, _ in timed),
        "timed_padded_tokens": sum(row["padded_tokens"] for row, _ in timed),
        "wall_clock_sec": start_sec + train_sec + log.unrecorded_save_sec,
        "final_loss": sum(row["loss"] for row in final) / len(final),
        "final_sequence_loss": sum(row["sequence_loss"] for row in final) / len(final),
    }
