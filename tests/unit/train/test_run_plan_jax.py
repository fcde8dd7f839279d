"""A run's plan comes from the data stage's file; what cannot be planned is one line."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.common.batching import BatchingSettings
from scripts.common.errors import UserError
from scripts.common.token_rows import TokenRows
from scripts.data.token_file import write_tokens
from scripts.train.run_plan import plan_run
from scripts.train.settings import clamped_warmup
from tests.unit.train.test_record import TRAIN

ROWS = TokenRows.from_lists([[1] * length for length in range(10, 30)], [5] * 20)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "train.parquet"
    write_tokens(path, [f"row{number}" for number in range(len(ROWS))], ROWS)
    return path


def test_rows_survive_the_file_and_fill_steps(tokens: Path) -> None:
    rows, plan, held_out = plan_run(replace(TRAIN, epochs=2), tokens, data_shards=1)
    assert held_out is None
    assert rows.tokens.tolist() == ROWS.tokens.tolist()
    assert rows.offsets.tolist() == ROWS.offsets.tolist()
    assert rows.answer_starts.tolist() == ROWS.answer_starts.tolist()
    assert len(plan.steps) == 4


def test_data_shards_multiply_the_rows_of_a_micro_batch(tokens: Path) -> None:
    _, plan, _ = plan_run(TRAIN, tokens, data_shards=4)
    assert {len(micro_batch.rows) for micro_batch in plan.micro_batches} == {4}


def test_held_out_rows_are_in_no_step_of_any_epoch_and_in_their_own_once(tokens: Path) -> None:
    """Each row has a length of its own: 10 to 29 tokens."""
    rows, plan, held_out = plan_run(replace(TRAIN, epochs=3, held_out_rows=4), tokens, data_shards=2)
    assert held_out is not None
    trained = {rows.lengths[sample] for m in plan.micro_batches for row in m.rows for sample in row}
    measured = [held_out.rows.lengths[sample] for m in held_out.plan.micro_batches for row in m.rows for sample in row]
    assert len(plan.steps) == 3 * (16 // 8)
    assert len(measured) == 4
    assert trained | set(measured) == set(range(10, 30))
    assert not trained & set(measured)
    assert {len(micro_batch.rows) for micro_batch in held_out.plan.micro_batches} == {2}


def test_held_out_rows_do_not_depend_on_the_seed(tokens: Path) -> None:
    first, second = (plan_run(replace(TRAIN, seed=seed, held_out_rows=4), tokens, 1)[2] for seed in (0, 1))
    assert first is not None
    assert second is not None
    assert first.rows.tokens.tolist() == second.rows.tokens.tolist()


def test_the_held_out_loss_is_due_at_every_interval_and_at_the_end(tokens: Path) -> None:
    settings = replace(TRAIN, epochs=5, held_out_rows=4, checkpoint_interval_steps=4)
    _, plan, held_out = plan_run(settings, tokens, 1)
    assert held_out is not None
    assert [step for step in range(1, len(plan.steps) + 1) if held_out.is_due(step)] == [4, 8, 10]


@pytest.mark.parametrize(
    ("change", "shards", "message"),
    [
        ({"samples_per_step": 32}, 1, "20 rows do not fill one step of 32 samples"),
        ({"held_out_rows": 21}, 1, "20 rows are fewer than are to be held out, with train.held_out_rows = 21"),
        ({"held_out_rows": 16}, 1, "4 rows do not fill one step of 8 samples, with train.held_out_rows = 16"),
        ({}, 3, "samples_per_step 8 is not a multiple of 3"),
        ({"batching": BatchingSettings("pack", (16,), 16)}, 1, "longer than every row"),
    ],
)
def test_what_cannot_be_planned_is_one_line(tokens: Path, change: dict, shards: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_run(replace(TRAIN, **change), tokens, shards)


def test_another_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    for content in (None, b"", b"not Parquet"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match="not the data stage's Parquet"):
            plan_run(TRAIN, path, 1)


@pytest.mark.parametrize(("warmup", "steps", "expected"), [(100, 1244, 100), (100, 200, 20), (20, 5, 1), (0, 50, 0)])
def test_warm_up_is_at_most_a_tenth_of_the_run(warmup: int, steps: int, expected: int) -> None:
    assert clamped_warmup(warmup, steps) == expected
