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
        self._real_tokens = real_tokens
        self._padded_tokens = padded_tokens_per_step
        self._before_sec = kept[-1]["elapsed_sec"] if kept else 0.0
        self._started = time.perf_counter()

    @property
    def elapsed_sec(self) -> float:
        """Seconds of training so far, over all the processes that a resumed run took."""
        return self._before_sec + time.perf_counter() - self._started

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        """Records optimizer step `step` (from 1)."""
        row = {
            "step": step,
            "loss": loss,
            "learning_rate": learning_rate,
            "real_tokens": int(self._real_tokens[step - 1]),
            "padded_tokens": self._padded_tokens,
            "elapsed_sec": self.elapsed_sec,
        }
        self.rows.append(row)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")


@dataclass(frozen=True)
class FinishedRun:
    """A training run that reached its last step."""

    log: MetricsLog
    lora_parameters: int


def summarize(rows: list[dict[str, Any]], samples_per_step: int) -> dict[str, Any]:
    """Totals of a finished run from its metrics rows, for run.json.

    `timed_*` counts the steps after the first, whose time is not compilation: their tokens over `timed_sec` are the
    throughput.
    """
    timed = rows[1:]
    return {
        "optimizer_steps": len(rows),
        "samples": len(rows) * samples_per_step,
        "real_tokens": sum(row["real_tokens"] for row in rows),
        "padded_tokens": sum(row["padded_tokens"] for row in rows),
        "first_step_sec": rows[0]["elapsed_sec"],
        "timed_sec": rows[-1]["elapsed_sec"] - rows[0]["elapsed_sec"],
        "timed_samples": len(timed) * samples_per_step,
        "timed_real_tokens": sum(row["real_tokens"] for row in timed),
        "timed_padded_tokens": sum(row["padded_tokens"] for row in timed),
        "final_loss": sum(row["loss"] for row in rows[-FINAL_LOSS_STEPS:]) / len(rows[-FINAL_LOSS_STEPS:]),
    }
