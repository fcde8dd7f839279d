"""One example of the loss, computed by hand in numpy: both backends must agree with it."""

import math

import numpy as np

_RNG = np.random.default_rng(0)
LOGITS = _RNG.standard_normal((2, 5, 7)).astype(np.float32)
TOKENS = _RNG.integers(0, 7, (2, 5))
MASK = np.array([[0, 0, 1, 1, 1], [0, 0, 0, 1, 0]])
WEIGHTS = (MASK / MASK.sum(axis=1, keepdims=True) / len(MASK)).astype(np.float32)


def expected_loss() -> float:
    """Mean over the two samples of the mean over each one's masked tokens of -log p(token | before)."""
    samples = []
    for row in range(2):
        nll = [
            math.log(np.exp(LOGITS[row, i - 1]).sum()) - LOGITS[row, i - 1, TOKENS[row, i]]
            for i in np.flatnonzero(MASK[row])
        ]
        samples.append(np.mean(nll))
    return float(np.mean(samples))
