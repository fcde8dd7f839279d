"""The same samples reach the same optimizer step in every batching mode; only the padding differs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.batching import (
    MODES,
    BatchingSettings,
    MicroBatch,
    Powers,
    _fullest,
    plan_batches,
    sample_order,
    total_steps,
)
from scripts.plan.lengths import LengthQuantiles, synthetic_lengths


@given(rows=st.integers(8, 60), epochs=st.integers(1, 3), samples=st.integers(1, 8), seed=st.integers(0, 2**31 - 1))
def test_an_epoch_sees_each_row_at_most_once_and_steps_are_full(
    rows: int, epochs: int, samples: int, seed: int
) -> None:
    order = sample_order(rows, epochs, samples, seed)
    assert order.shape == (total_steps(rows, epochs, samples), samples)
    for epoch in np.split(order, epochs):
        assert len(np.unique(epoch)) == epoch.size > rows - samples
        assert epoch.min() >= 0
        assert epoch.max() < rows


def test_the_order_is_the_seeds_and_epochs_differ() -> None:
    assert (sample_order(50, 2, 8, 7) == sample_order(50, 2, 8, 7)).all()
    assert (sample_order(50, 1, 8, 7) != sample_order(50, 1, 8, 8)).any()
    first, second = np.split(sample_order(50, 2, 8, 7), 2)
    assert (first != second).any()


def test_too_few_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="7 rows do not fill one step of 8"):
        sample_order(7, 1, 8, 0)


LENGTHS = st.lists(st.integers(2, 48), min_size=8, max_size=40).map(np.array)
ROW_LENGTHS = st.one_of(
    st.none(), st.lists(st.integers(1, 96), min_size=1).map(lambda some: (*some, 48)), st.builds(Powers, st.just(1.5))
)


@given(lengths=LENGTHS, row_lengths=ROW_LENGTHS, mode=st.sampled_from(MODES), rows=st.sampled_from([1, 2, 4]))
def test_every_mode_carries_the_orders_samples_in_rows_that_hold_them(
    lengths: np.ndarray, row_lengths: Any, mode: Any, rows: int
) -> None:
    order = sample_order(len(lengths), 1, 4, seed=0)
    settings = BatchingSettings(mode, row_lengths, 48)
    plan = plan_batches(lengths, order, settings, rows)
    assert len(plan.steps) == len(order)
    for step, expected in zip(plan.steps, order, strict=True):
        carried = [sample for micro_batch in step for row in micro_batch.rows for sample in row]
        assert sorted(carried) == sorted(expected)
        for micro_batch in step:
            assert len(micro_batch.rows) == rows
            assert micro_batch.row_len in settings.row_lengths()
            assert all(sum(lengths[list(row)]) <= micro_batch.row_len for row in micro_batch.rows)
            assert any(micro_batch.rows), "a micro-batch that is all padding is a forward pass for nothing"
    assert plan.real_tokens_per_step(lengths).tolist() == lengths[order].sum(axis=1).tolist()
    assert (plan.padded_tokens_per_step >= plan.real_tokens_per_step(lengths)).all()
    assert sum(plan.shapes().values()) == plan.micro_batches_per_step.sum() == len(plan.micro_batches)


@given(lengths=LENGTHS, mode=st.sampled_from(MODES))
def test_the_plan_is_a_function_of_lengths_and_order(lengths: np.ndarray, mode: Any) -> None:
    order = sample_order(len(lengths), 1, 4, seed=0)
    settings = BatchingSettings(mode, None, 48)
    assert plan_batches(lengths, order, settings, 1) == plan_batches(lengths, order, settings, 1)


@given(samples=st.lists(st.integers(1, 30), max_size=8), capacity=st.integers(1, 64))
def test_a_row_is_filled_as_full_as_can_be(samples: list[int], capacity: int) -> None:
    chosen = _fullest([(length, index) for index, length in enumerate(samples)], capacity)
    best = max(
        total
        for choice in range(2 ** len(samples))
        if (total := sum(length for i, length in enumerate(samples) if choice >> i & 1)) <= capacity
    )
    assert sum(length for length, _ in chosen) == best
    assert len({index for _, index in chosen}) == len(chosen)


def test_a_row_of_the_paper_keeps_the_order_when_nothing_is_gained_by_another() -> None:
    lengths = np.array([40, 10, 30, 20])
    plan = plan_batches(lengths, np.array([[2, 0, 3, 1]]), BatchingSettings("bucket", (16, 32, 48), 48), 1)
    assert [(m.row_len, m.rows) for m in plan.steps[0]] == [(32, ((2,),)), (48, ((0,),)), (32, ((3,),)), (16, ((1,),))]


def test_shards_are_the_rows_in_order() -> None:
    micro_batch = MicroBatch(16, ((0,), (1, 2), (), (3,)))
    assert [micro_batch.shard(index, 2).rows for index in range(2)] == [((0,), (1, 2)), ((), (3,))]


def test_row_lengths() -> None:
    assert BatchingSettings("pad", (8, 16), 3072).row_lengths() == [3072]
    assert BatchingSettings("bucket", None, 3072).row_lengths() == list(range(256, 3073, 256))
    assert BatchingSettings("bucket", Powers(2), 3072).row_lengths() == [192, 384, 768, 1536, 3072]
    assert BatchingSettings("pack", (4096, 512, 512), 3072).row_lengths() == [512, 4096]


@pytest.mark.parametrize(
    ("settings", "rows", "message"),
    [
        (BatchingSettings("pad", None, 48), 3, "samples_per_step 4 is not a multiple of 3"),
        (BatchingSettings("pack", (16, 32), 48), 1, "a sample of 40 tokens is longer than every row"),
    ],
)
def test_a_plan_that_cannot_be(settings: BatchingSettings, rows: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_batches(np.array([40, 10, 30, 20]), np.array([[2, 0, 3, 1]]), settings, rows)


def test_powers_that_are_no_powers() -> None:
    with pytest.raises(ValueError, match="powers_of must be"):
        Powers(1.0)


@pytest.mark.parametrize(("mode", "least", "most"), [("pad", 0.28, 0.32), ("bucket", 0.80, 1.0), ("pack", 0.95, 1.0)])
def test_real_tokens_on_the_papers_lengths(mode: Any, least: float, most: float) -> None:
    """Section 3.8's subset in the paper's batches: 8 samples a step, one row a micro-batch."""
    lengths = synthetic_lengths(LengthQuantiles(mean_tokens=922, p99_tokens=2553, max_tokens=3072), 9_959)
    plan = plan_batches(lengths, sample_order(len(lengths), 1, 8, 0), BatchingSettings(mode, None, 3072), 1)
    real = plan.real_tokens_per_step(lengths).sum() / plan.padded_tokens_per_step.sum()
    assert least <= real <= most
    assert len(plan.steps) == len(lengths) // 8
