"""The same samples reach the same optimizer step, whatever the backend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.token_rows import TokenRows, pad_rows
from scripts.train.batches import real_tokens_by_step, sample_order
from scripts.train.settings import clamped_warmup, total_steps


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


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_padding_keeps_every_token_and_masks_the_rest(lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    ids = [rng.integers(1, 100, n).astype(np.int32) for n in lengths]
    masks = [rng.integers(0, 2, n).astype(np.int32) for n in lengths]
    batch = pad_rows(TokenRows(ids, masks), np.arange(len(ids)), 16)
    for i, length in enumerate(lengths):
        assert (batch["tokens"][i, :length] == ids[i]).all()
        assert (batch["loss_mask"][i, :length] == masks[i]).all()
        assert batch["valid"][i].tolist() == [1] * length + [0] * (16 - length)
        assert not batch["loss_mask"][i, length:].any()


def test_real_tokens_are_counted_by_step() -> None:
    rows = TokenRows([np.ones(n, np.int32) for n in (3, 5, 7, 9)], [])
    assert real_tokens_by_step(rows, np.array([[0, 1], [3, 2]])).tolist() == [8, 16]


@pytest.mark.parametrize(("warmup", "steps", "expected"), [(100, 1244, 100), (100, 200, 20), (20, 5, 1), (0, 50, 0)])
def test_warm_up_is_at_most_a_tenth_of_the_run(warmup: int, steps: int, expected: int) -> None:
    assert clamped_warmup(warmup, steps) == expected
