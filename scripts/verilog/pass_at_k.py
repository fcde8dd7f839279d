"""The unbiased estimator of pass@k."""

from __future__ import annotations

from collections.abc import Sequence


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Probability that one of `k` samples passes, drawn without replacement from `samples` of which `passed` do.

    1 - C(n - c, k) / C(n, k), as the product 1 - prod_{i = n - c + 1..n} (1 - k / i) that neither overflows nor cancels
    (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", section 2.1).
    Raises ValueError unless 0 <= passed <= samples and 1 <= k <= samples.
    """
    if not 0 <= passed <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {passed} passed among {samples} samples is not defined")
    if samples - passed < k:
        return 1.0
    none_passes = 1.0
    for i in range(samples - passed + 1, samples + 1):
        none_passes *= 1.0 - k / i
    return 1.0 - none_passes


def mean_pass_at_k(passed: Sequence[int], samples: int, k: int) -> float:
    """Mean of pass@k over problems: `passed[i]` of `samples` each passed. Raises ValueError without a problem."""
    if not passed:
        raise ValueError("pass@k of no problem is not defined")
    return sum(pass_at_k(samples, count, k) for count in passed) / len(passed)
