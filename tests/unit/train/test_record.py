"""What a run says of itself: totals that add up, and a first step that is not called training speed."""

from pathlib import Path

import numpy as np
import pytest

from scripts.train.record import MetricsLog, summarize


def test_rows_after_the_checkpoint_are_cut_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    real_tokens = np.array([10, 20, 30, 40])
    first = MetricsLog(path, resumed_step=0, real_tokens=real_tokens, padded_tokens_per_step=50)
    for step in (1, 2, 3):
        first.add(step, loss=float(step), learning_rate=0.1)
    resumed = MetricsLog(path, resumed_step=2, real_tokens=real_tokens, padded_tokens_per_step=50)
    resumed.add(3, loss=9.0, learning_rate=0.1)
    assert [row["loss"] for row in resumed.rows] == [1.0, 2.0, 9.0]
    assert resumed.rows[2]["real_tokens"] == 30
    assert resumed.rows[2]["elapsed_sec"] >= first.rows[1]["elapsed_sec"]
    assert len(path.read_text().splitlines()) == 3


def test_the_summary_times_the_steps_that_do_not_compile(tmp_path: Path) -> None:
    """Twelve steps of a second each; the first of each of two processes took ten more."""
    elapsed = [11.0, 12, 13, 14, 15, 26, 27, 28, 29, 30, 31, 32]
    rows = [
        {
            "step": step,
            "loss": float(step),
            "real_tokens": 10 * step,
            "padded_tokens": 100,
            "elapsed_sec": seconds,
            "first_in_process": step in (1, 6),
        }
        for step, seconds in enumerate(elapsed, start=1)
    ]
    log = MetricsLog(tmp_path / "metrics.jsonl", resumed_step=0, real_tokens=np.array([]), padded_tokens_per_step=100)
    log.rows, log.resumed_after_sec = rows, 15.0
    summary = summarize(log, samples_per_step=8, process_sec=20.0)
    assert summary["samples"] == 96
    assert summary["real_tokens"] == 10 * sum(range(1, 13))
    assert summary["timed_real_tokens"] == summary["real_tokens"] - 10 - 60
    assert summary["timed_samples"] == 80
    assert summary["timed_sec"] == pytest.approx(10.0)
    assert summary["first_step_sec"] == 11.0
    assert summary["start_sec"] == pytest.approx(20.0 - 17.0)
    assert summary["wall_clock_sec"] == pytest.approx(3.0 + 32.0)
    assert summary["final_loss"] == pytest.approx(sum(range(3, 13)) / 10)
