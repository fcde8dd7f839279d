"""Comparing two forms of a model: what counts as the same, and what stops the run."""

from pathlib import Path

import numpy as np
import pytest

from scripts.merge import check_merge, check_served
from scripts.merge.probe import (
    Difference,
    NextTokens,
    Probe,
    Tolerance,
    compare_logits,
    compare_next_tokens,
    load_next_tokens,
    next_tokens,
    save_next_tokens,
)

TOLERANCE = Tolerance(max_abs=1e-3, mean_abs=1e-4, min_top1_agreement=0.99)


def test_differences_are_measured() -> None:
    first = np.zeros((1, 2, 3), np.float32)
    second = first.copy()
    first[0, 0, 1] = second[0, 0, 2] = 1.0
    difference = compare_logits(first, second)
    assert difference == Difference(max_abs=1.0, mean_abs=pytest.approx(2 / 6), top1_agreement=0.5)


@pytest.mark.parametrize("bad", [np.zeros((1, 2, 4)), np.full((1, 2, 3), np.nan), np.full((1, 2, 3), np.inf)])
def test_logits_that_cannot_be_compared_are_an_error(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="logits"):
        compare_logits(np.zeros((1, 2, 3)), bad)


def difference(max_abs: float, mean_abs: float = 1e-6, top1: float = 1.0) -> Difference:
    return Difference(max_abs, mean_abs, top1)


SAME, OTHER = difference(1e-5), difference(3.0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (difference(0.1), "largest difference is 0.1, more than 0.001"),
        (difference(1e-5, mean_abs=0.01), "mean difference is 0.01"),
        (difference(1e-5, top1=0.5), "top-1 agreement is 0.5"),
        (difference(float("nan")), "largest difference is nan"),
    ],
)
def test_each_tolerance_is_a_gate_of_its_own(found: Difference, words: str) -> None:
    assert words in (TOLERANCE.exceeded_by(found) or "")
    assert TOLERANCE.exceeded_by(SAME) is None


def test_a_faithful_merge_passes() -> None:
    assert check_merge.judge({"trained": SAME, "adapter": SAME, "base": OTHER}, TOLERANCE) is None


@pytest.mark.parametrize("other", ["trained", "adapter"])
def test_a_merge_that_differs_is_stopped(other: str) -> None:
    found = {"trained": SAME, "adapter": SAME, "base": OTHER} | {other: difference(0.1)}
    assert f"is not the {other} model" in (check_merge.judge(found, TOLERANCE) or "")


def test_an_adapter_that_changed_nothing_is_stopped() -> None:
    found = {"trained": SAME, "adapter": SAME, "base": SAME}
    assert "was not applied" in (check_merge.judge(found, TOLERANCE) or "")


def test_served_forms_pass_only_when_both_are_the_merged_model_and_the_adapter_counts() -> None:
    faithful = {"merged": SAME, "adapter": SAME, "adapter_from_base": OTHER}
    assert check_served.judge(faithful, TOLERANCE) is None
    assert check_served.judge({"merged": SAME}, TOLERANCE) is None
    for form in ("merged", "adapter"):
        assert f"served {form} model" in (check_served.judge(faithful | {form: OTHER}, TOLERANCE) or "")
    ignored = check_served.judge(faithful | {"adapter_from_base": SAME}, TOLERANCE)
    assert "ignores the adapter" in (ignored or "")


def test_next_tokens_are_those_that_follow(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probe = Probe([np.array([4, 1, 3, 2], np.int32), np.array([0, 2, 4, 1], np.int32)], positions=3)
    logits = rng.standard_normal((2, 3, 5)).astype(np.float32)
    said = next_tokens(logits, probe)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    # The last three positions are of tokens 1, 3, 2 and 2, 4, 1; what follows the first two of them is 3, 2 and 4, 1.
    expected = [[probabilities[0, 0, 3], probabilities[0, 1, 2]], [probabilities[1, 0, 4], probabilities[1, 1, 1]]]
    np.testing.assert_allclose(said.logprobs, np.log(expected), rtol=1e-5)
    np.testing.assert_array_equal(said.top1, logits[:, :2].argmax(-1))
    save_next_tokens(tmp_path / "said.npz", {"bfloat16": said})
    loaded = load_next_tokens(tmp_path / "said.npz", "bfloat16")
    assert compare_next_tokens(loaded, said) == Difference(0.0, 0.0, 1.0)
    other = NextTokens(said.logprobs - 1, said.top1)
    assert compare_next_tokens(other, said).max_abs == pytest.approx(1.0)
