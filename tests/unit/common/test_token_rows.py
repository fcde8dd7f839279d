"""The arrays of a micro-batch hold its samples, whatever lies beside them in a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.batching import MODES, BatchingSettings, MicroBatch, plan_batches, sample_order
from scripts.common.token_rows import TokenRows, batch_arrays

SIZES = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=8, max_size=24)


def rows_of(sizes: list[tuple[int, int]]) -> TokenRows:
    """A row for each (prompt, answer) length; each token is the only one of its value."""
    total = sum(prompt + answer for prompt, answer in sizes)
    ids = iter(range(1, total + 1))
    return TokenRows.from_lists([[next(ids) for _ in range(p + a)] for p, a in sizes], [p for p, _ in sizes])


@given(sizes=SIZES, mode=st.sampled_from(MODES))
def test_a_batch_holds_each_sample_whole_with_its_own_positions_document_and_weights(
    sizes: list[tuple[int, int]], mode: str
) -> None:
    rows = rows_of(sizes)
    plan = plan_batches(rows.lengths, sample_order(len(rows), 1, 4, 0), BatchingSettings(mode, None, 40), 2)  # type: ignore[arg-type]
    for step in plan.steps:
        weight = 0.0
        for micro_batch in step:
            arrays = batch_arrays(rows, micro_batch, plan.samples_per_step)
            assert {array.shape for array in arrays.values()} == {micro_batch.shape}
            for number, samples in enumerate(micro_batch.rows):
                documents = arrays["documents"][number]
                assert set(documents) - {0} == set(range(1, len(samples) + 1))
                assert (np.diff(np.flatnonzero(documents)) == 1).all(), "padding is on the right"
                for document, sample in enumerate(samples, start=1):
                    here = documents == document
                    prompt, answer = sizes[sample]
                    assert arrays["tokens"][number, here].tolist() == rows.row(sample).tolist()
                    assert arrays["positions"][number, here].tolist() == list(range(prompt + answer))
                    weights = arrays["loss_weights"][number, here]
                    assert not weights[:prompt].any()
                    assert weights[prompt:] == pytest.approx(1 / (answer * plan.samples_per_step), rel=1e-6)
                padding = documents == 0
                assert not arrays["tokens"][number, padding].any()
                assert not arrays["loss_weights"][number, padding].any()
            weight += arrays["loss_weights"].sum()
        assert weight == pytest.approx(1, rel=1e-5), "a step's weights are those of a mean"


def test_positions_of_padding_start_again_so_that_it_is_a_document_of_its_own() -> None:
    arrays = batch_arrays(rows_of([(1, 2), (2, 1)]), MicroBatch(8, ((0, 1), ())), 2)
    assert arrays["positions"].tolist() == [[0, 1, 2, 0, 1, 2, 0, 1], list(range(8))]


@given(sizes=SIZES, data=st.data())
def test_only_the_rows_asked_for_are_left(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    rows = rows_of(sizes)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))))
    left = rows.only(kept)
    assert [left.row(i).tolist() for i in range(len(left))] == [rows.row(i).tolist() for i in np.flatnonzero(kept)]
    assert left.answer_starts.tolist() == rows.answer_starts[kept].tolist()


@pytest.mark.parametrize("answer_start", [0, 3])
def test_a_row_without_a_prompt_or_an_answer_is_refused(answer_start: int) -> None:
    with pytest.raises(ValueError, match="answer must start"):
        TokenRows.from_lists([[1, 2, 3]], [answer_start])


@given(sizes=SIZES, count=st.integers(0, 8), seed=st.integers(0, 100))
def test_held_out_rows_are_the_same_in_any_order_and_no_row_is_lost(
    sizes: list[tuple[int, int]], count: int, seed: int
) -> None:
    def contents(rows: TokenRows) -> list[tuple[list[int], int]]:
        return [(rows.row(index).tolist(), int(rows.answer_starts[index])) for index in range(len(rows))]

    rows = rows_of(sizes)
    others, held_out = rows.hold_out(count)
    assert len(held_out) == count
    assert sorted(contents(others) + contents(held_out)) == contents(rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = TokenRows.from_lists([rows.row(i).tolist() for i in order], rows.answer_starts[order].tolist())
    assert sorted(contents(shuffled.hold_out(count)[1])) == contents(held_out)


def test_no_more_rows_can_be_held_out_than_there_are() -> None:
    with pytest.raises(ValueError, match="2 rows are fewer than are to be held out"):
        rows_of([(1, 1), (2, 2)]).hold_out(3)
