"""What a run says of itself: totals that add up, numbers that are numbers, and compilation that is not called training
speed."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.common.batching import BatchingSettings, BatchPlan, MicroBatch
from scripts.common.errors import UserError
from scripts.common.lora import LoraSettings
from scripts.common.token_rows import TokenRows
from scripts.train.record import MetricsLog, StepResult, require_finite, summarize
from scripts.train.settings import TrainSettings

TRAIN = TrainSettings(
    arm="tpu", seed=0, hardware="laptop", hardware_kind="cpu", epochs=1, samples_per_step=8, micro_batch_size=1,
    lora=LoraSettings(8, 8.0, 0.0, "all"), peak_learning_rate=1e-3, warmup_steps=1, weight_decay=0.0, dtype="float32",
    remat="none", checkpoint_interval_steps=10, checkpoints_kept=1, batching=BatchingSettings("bucket", None, 50),
)  # fmt: skip
# One sample a step, in rows of 50 tokens but for the third step's.
ROWS = TokenRows.from_lists([[1] * length for length in (10, 20, 30, 40)], [1] * 4)
PLAN = BatchPlan([[MicroBatch(100 if index == 2 else 50, ((index,),))] for index in range(4)], samples_per_step=1)


def result(loss: float) -> StepResult:
    return StepResult(loss=loss, learning_rate=0.1, sequence_nll=58.0, grad_norm=1.0)


def test_rows_after_the_checkpoint_are_cut_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsLog(path, 0, ROWS, PLAN)
    for step in (1, 2, 3):
        first.add(step, result(float(step)))
    resumed = MetricsLog(path, 2, ROWS, PLAN)
    resumed.saved(0.5)
    resumed.add(3, result(9.0))
    assert [row["loss"] for row in resumed.rows] == [1.0, 2.0, 9.0]
    assert resumed.rows[2]["real_tokens"] == 30
    assert resumed.rows[2]["padded_tokens"] == 100
    assert resumed.rows[2]["save_sec"] == 0.5
    assert resumed.rows[2]["sequence_loss"] == pytest.approx(58.0 / 29)
    assert resumed.rows[2]["elapsed_sec"] >= first.rows[1]["elapsed_sec"]
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("loss", "loss"),
        ("sequence_nll", "loss of the whole samples"),
        ("grad_norm", "norm of the gradient"),
        ("held_out_loss", "held-out loss"),
    ],
)
def test_a_step_that_has_diverged_is_named(field: str, name: str, value: float) -> None:
    require_finite(7, result(1.0))
    with pytest.raises(UserError, match=rf"^optimizer step 7: {name} {value}: .* Lower train\.peak_learning_rate"):
        require_finite(7, replace(result(1.0), **{field: value}))


def test_a_step_is_marked_when_its_process_has_not_met_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0, ROWS, PLAN)
    for step in (1, 2, 3):
        log.add(step, result(1.0))
    resumed = MetricsLog(path, 3, ROWS, PLAN)
    resumed.add(4, result(1.0))
    assert [row["new_shape_in_process"] for row in resumed.rows] == [True, False, True, True]


def test_the_summary_times_the_steps_that_do_not_compile(tmp_path: Path) -> None:
    """Twelve steps of a second each, two with a held-out loss; the first of each of two processes took ten more."""
    elapsed = [11.0, 12, 13, 14, 15, 26, 27, 28, 29, 30, 31, 32]
    rows = [
        {
            "step": step,
            "loss": float(step),
            "real_tokens": 10 * step,
            "padded_tokens": 100,
            "elapsed_sec": seconds,
            "sequence_loss": 2.0 * step,
            "compile_sec": 4.0 if step in (1, 6) else 0.0,
            "save_sec": 0.25 if step == 5 else 0.0,
            "held_out_sec": {1: 2.0, 5: 0.5}.get(step, 0.0),
            "new_shape_in_process": step in (1, 6),
        }
        for step, seconds in enumerate(elapsed, start=1)
    ]
    log = MetricsLog(tmp_path / "metrics.jsonl", 0, ROWS, PLAN)
    log.rows, log.resumed_after_sec = rows, 15.0
    log.saved(0.5)  # the checkpoint of the last step
    summary = summarize(log, TRAIN, process_sec=20.0)
    assert summary["samples"] == 96
    assert summary["real_tokens"] == 10 * sum(range(1, 13))
    assert summary["timed_real_tokens"] == summary["real_tokens"] - 10 - 60
    assert summary["timed_samples"] == 80
    assert summary["timed_sec"] == pytest.approx(10.0 - 0.5)
    assert summary["new_shapes_sec"] == pytest.approx(22.0 - 2.0)
    assert summary["held_out_sec"] == pytest.approx(2.5)
    assert summary["start_sec"] == pytest.approx(20.0 - 17.0 - 0.5)
    assert summary["compile_sec"] == pytest.approx(8.0)
    assert summary["save_sec"] == pytest.approx(0.75)
    assert summary["train_sec"] == pytest.approx(32.0 - 8.0 - 0.25 - 2.5)
    assert summary["wall_clock_sec"] == pytest.approx(3.0 + 32.0)
    assert summary["final_sequence_loss"] == pytest.approx(2 * sum(range(3, 13)) / 10)
    assert summary["final_loss"] == pytest.approx(sum(range(3, 13)) / 10)
