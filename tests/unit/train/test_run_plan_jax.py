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
    rows, plan = plan_run(replace(TRAIN, epochs=2), tokens, data_shards=1)
    assert rows.tokens.tolist() == ROWS.tokens.tolist()
    assert rows.offsets.tolist() == ROWS.offsets.tolist()
    assert rows.answer_starts.tolist() == ROWS.answer_starts.tolist()
    assert len(plan.steps) == 4


def test_data_shards_multiply_the_rows_of_a_micro_batch(tokens: Path) -> None:
    _, plan = plan_run(TRAIN, tokens, data_shards=4)
    assert {len(micro_batch.rows) for micro_batch in plan.micro_batches} == {4}


@pytest.mark.parametrize(
    ("change", "shards", "message"),
    [
        ({"samples_per_step": 32}, 1, "20 rows do not fill one step of 32 samples"),
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
