"""What a training run leaves beside its adapter: metrics.jsonl, a row a step, and run.json."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.batching import BatchPlan
from scripts.common.files import read_jsonl, write_jsonl
from scripts.common.token_rows import TokenRows
from scripts.train.settings import TrainSettings

# Steps at the end whose mean is called the final loss: one step's loss is mostly its samples.
FINAL_LOSS_STEPS = 10


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
        self._started = time.perf_counter()

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        """Records optimizer step `step` (from 1)."""
        shapes = {micro_batch.shape for micro_batch in self._plan.steps[step - 1]}
        row = {
            "step": step,
            "loss": loss,
            "learning_rate": learning_rate,
            "real_tokens": int(self._real_tokens[step - 1]),
            "padded_tokens": int(self._padded_tokens[step - 1]),
            "elapsed_sec": self.resumed_after_sec + time.perf_counter() - self._started,
            "new_shape_in_process": not shapes <= self._known_shapes,
        }
        self._known_shapes |= shapes
        self.rows.append(row)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")


@dataclass(frozen=True)
class FinishedRun:
    """A training run that reached its last step; `adapter` is the folder of its LoRA tensors in the backend's form."""

    log: MetricsLog
    adapter: Path
    lora_parameters: int


def summarize(log: MetricsLog, train: TrainSettings, process_sec: float) -> dict[str, Any]:
    """Totals of a finished run, for run.json; `process_sec` is how long the process that finished it has run.

    `timed_*` leaves out the steps that met a shape of micro-batch for the first time in their process, whose time is
    mostly compilation: the others' tokens over `timed_sec` are the throughput. The wall-clock counts all the steps, of
    earlier processes too, and the start of the last process.
    """
    rows = log.rows
    durations = [
        row["elapsed_sec"] - before for row, before in zip(rows, [0.0, *(r["elapsed_sec"] for r in rows)], strict=False)
    ]
    timed = [(row, seconds) for row, seconds in zip(rows, durations, strict=True) if not row["new_shape_in_process"]]
    train_sec = rows[-1]["elapsed_sec"]
    start_sec = process_sec - (train_sec - log.resumed_after_sec)
    return {
        "batching": train.batching.mode,
        "optimizer_steps": len(rows),
        "samples": len(rows) * train.samples_per_step,
        "real_tokens": sum(row["real_tokens"] for row in rows),
        "padded_tokens": sum(row["padded_tokens"] for row in rows),
        "start_sec": start_sec,
        "new_shapes_sec": train_sec - sum(seconds for _, seconds in timed),
        "timed_sec": sum(seconds for _, seconds in timed),
        "timed_samples": len(timed) * train.samples_per_step,
        "timed_real_tokens": sum(row["real_tokens"] for row, _ in timed),
        "timed_padded_tokens": sum(row["padded_tokens"] for row, _ in timed),
        "wall_clock_sec": start_sec + train_sec,
        "final_loss": sum(row["loss"] for row in rows[-FINAL_LOSS_STEPS:]) / len(rows[-FINAL_LOSS_STEPS:]),
    }
