"""Lengths as the paper's data has them, for tests and benchmarks: mean 922, p99 2,553 and p99.5 2,894 tokens, and 0.4 %
above 3,072 (section 3.8). A log-normal distribution with a median of 818 and a sigma of 0.49 has these four."""

import numpy as np

MEDIAN_TOKENS = 818
SIGMA = 0.49
SHORTEST_TOKENS = 64


def paper_lengths(count: int, seed: int) -> np.ndarray:
    """`count` lengths in tokens, int64, those that the paper drops as over-long among them."""
    lengths = np.round(MEDIAN_TOKENS * np.exp(np.random.default_rng(seed).normal(0, SIGMA, count)))
    return np.maximum(lengths.astype(np.int64), SHORTEST_TOKENS)
