"""What a training run leaves beside its adapter: metrics.jsonl, a row a step, and run.json."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.files import read_jsonl, write_jsonl

# Steps at the end whose mean is called the final loss: one step's loss is mostly its samples.
FINAL_LOSS_STEPS = 10


class MetricsLog:
    """metrics.jsonl in the state folder, appended step by step and cut back to the checkpoint on resume."""

    def __init__(self, path: Path, resumed_step: int, real_tokens: np.ndarray, padded_tokens_per_step: int) -> None:
        kept = [row for row in read_jsonl(path) if row["step"] <= resumed_step] if path.exists() else []
        write_jsonl(path, kept)
        self.path = path
        self.rows: list[dict[str, Any]] = kept
        self.resumed_after_sec = kept[-1]["elapsed_sec"] if kept else 0.0
        self._first_step = resumed_step + 1
        self._real_tokens = real_tokens
        self._padded_tokens = padded_tokens_per_step
        self._started = time.perf_counter()

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        """Records optimizer step `step` (from 1)."""
        row = {
            "step": step,
            "loss": loss,
            "learning_rate": learning_rate,
            "real_tokens": int(self._real_tokens[step - 1]),
            "padded_tokens": self._padded_tokens,
            "elapsed_sec": self.resumed_after_sec + time.perf_counter() - self._started,
            "first_in_process": step == self._first_step,
        }
        self.rows.append(row)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")


@dataclass(frozen=True)
class FinishedRun:
    """A training run that reached its last step."""

    log: MetricsLog
    lora_parameters: int


def summarize(log: MetricsLog, samples_per_step: int, process_sec: float) -> dict[str, Any]:
    """Totals of a finished run, for run.json; `process_sec` is how long the process that finished it has run.

    `timed_*` leaves out the first step of each process, whose time is mostly compilation: their tokens over
    `timed_sec` are the throughput. The wall-clock counts all the steps, of earlier processes too, and the start of the
    last process.
    """
    rows = log.rows
    durations = [
        row["elapsed_sec"] - before for row, before in zip(rows, [0.0, *(r["elapsed_sec"] for r in rows)], strict=False)
    ]
    timed = [(row, seconds) for row, seconds in zip(rows, durations, strict=True) if not row["first_in_process"]]
    train_sec = rows[-1]["elapsed_sec"]
    start_sec = process_sec - (train_sec - log.resumed_after_sec)
    return {
        "optimizer_steps": len(rows),
        "samples": len(rows) * samples_per_step,
        "real_tokens": sum(row["real_tokens"] for row in rows),
        "padded_tokens": sum(row["padded_tokens"] for row in rows),
        "start_sec": start_sec,
        "first_step_sec": durations[0],
        "timed_sec": sum(seconds for _, seconds in timed),
        "timed_samples": len(timed) * samples_per_step,
        "timed_real_tokens": sum(row["real_tokens"] for row, _ in timed),
        "timed_padded_tokens": sum(row["padded_tokens"] for row, _ in timed),
        "wall_clock_sec": start_sec + train_sec,
        "final_loss": sum(row["loss"] for row in rows[-FINAL_LOSS_STEPS:]) / len(rows[-FINAL_LOSS_STEPS:]),
    }
