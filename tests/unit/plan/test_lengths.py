"""Row lengths of an epoch: what the fit reproduces, and what no way of batching may lose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.plan.lengths import LengthQuantiles, measured_counts, micro_batch_counts, synthetic_lengths

PAPER = LengthQuantiles(922, 2553, 3072)
ROWS = [*range(256, 3073, 256)]


def test_the_fit_has_the_published_mean_and_quantiles() -> None:
    lengths = synthetic_lengths(PAPER, 9959)
    assert lengths.mean() == pytest.approx(922, rel=0.01)
    assert np.quantile(lengths, 0.99) == pytest.approx(2553, rel=0.01)
    assert np.quantile(lengths, 0.995) == pytest.approx(2894, rel=0.01)
    assert lengths.max() == 3072


def test_the_fit_has_the_published_share_of_over_long_samples() -> None:
    lengths = synthetic_lengths(LengthQuantiles(922, 2553, 16_384), 10_000)
    assert (lengths > 3072).mean() == pytest.approx(37 / 10_000, abs=0.0005)


def test_real_tokens_of_each_mode_on_the_papers_lengths() -> None:
    lengths = synthetic_lengths(PAPER, 9959)
    real = lengths[: 1244 * 8].sum()
    shares = {}
    for mode in ("pad", "bucket", "pack"):
        counts = micro_batch_counts(lengths, mode, 8, 1, ROWS)  # type: ignore[arg-type]
        shares[mode] = real / sum(length * count for length, count in counts.items())
    assert shares["pad"] == pytest.approx(0.30, abs=0.01)
    assert shares["bucket"] == pytest.approx(0.88, abs=0.01)
    assert 0.95 <= shares["pack"] <= 0.98


@given(st.lists(st.integers(1, 3072), min_size=8, max_size=64), st.sampled_from(["pad", "bucket", "pack"]),
       st.sampled_from([1, 2, 4]))  # fmt: skip
def test_rows_hold_all_tokens_of_whole_steps(lengths: list[int], mode: str, rows: int) -> None:
    counts = micro_batch_counts(np.array(lengths), mode, 8, rows, ROWS)  # type: ignore[arg-type]
    steps = len(lengths) // 8
    capacity = rows * sum(length * count for length, count in counts.items())
    assert capacity >= sum(lengths[: 8 * steps])
    assert steps <= sum(counts.values()) <= 8 * steps
    assert set(counts) <= ({3072} if mode == "pad" else set(ROWS))


def test_lengths_that_no_log_normal_has_are_refused() -> None:
    with pytest.raises(ValueError, match="no log-normal"):
        synthetic_lengths(LengthQuantiles(1, 1000, 3072), 10)


def test_a_measured_report_is_read_for_the_rows_that_it_has() -> None:
    shapes = [{"rows": 1, "row_len": 3072, "micro_batches": 7}]
    report = {"plans": [{"mode": "pack", "rows_per_micro_batch": 1, "shapes": shapes}]}
    assert measured_counts(report, "pack", 1) == {3072: 7}
    assert measured_counts(report, "pack", 2) is None
