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


def test_the_summary_times_the_steps_after_the_first() -> None:
    rows = [
        {"step": s, "loss": float(s), "real_tokens": 10 * s, "padded_tokens": 100, "elapsed_sec": 30.0 + s}
        for s in range(1, 13)
    ]
    summary = summarize(rows, samples_per_step=8)
    assert summary["samples"] == 96
    assert summary["real_tokens"] == 10 * sum(range(1, 13))
    assert summary["timed_real_tokens"] == summary["real_tokens"] - 10
    assert summary["first_step_sec"] == 31.0
    assert summary["timed_sec"] == pytest.approx(11.0)
    assert summary["final_loss"] == pytest.approx(sum(range(3, 13)) / 10)
