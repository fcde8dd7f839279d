"""Comparing two forms of a model: what counts as the same, and what stops the run."""

import numpy as np
import pytest

from scripts.merge.check_merge import judge
from scripts.merge.probe import LogitDifference, compare_logits


def test_differences_are_measured() -> None:
    first = np.zeros((1, 2, 3), np.float32)
    second = first.copy()
    first[0, 0, 1] = second[0, 0, 2] = 1.0
    difference = compare_logits(first, second)
    assert difference == LogitDifference(max_abs=1.0, mean_abs=pytest.approx(2 / 6), top1_agreement=0.5)


@pytest.mark.parametrize("bad", [np.zeros((1, 2, 4)), np.full((1, 2, 3), np.nan), np.full((1, 2, 3), np.inf)])
def test_logits_that_cannot_be_compared_are_an_error(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="logits"):
        compare_logits(np.zeros((1, 2, 3)), bad)


def difference(max_abs: float) -> LogitDifference:
    return LogitDifference(max_abs, max_abs / 10, 1.0)


def test_a_faithful_merge_passes() -> None:
    assert judge(difference(1e-5), difference(3.0), tolerance=1e-3) is None


def test_a_merge_that_differs_is_stopped() -> None:
    assert "trained model's" in (judge(difference(0.1), difference(3.0), tolerance=1e-3) or "")


def test_an_adapter_that_changed_nothing_is_stopped() -> None:
    assert "was not applied" in (judge(difference(1e-5), difference(1e-5), tolerance=1e-3) or "")
