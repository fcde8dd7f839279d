"""A few rows of tokens of unequal lengths, for the training backends' tests with the mini model."""

import numpy as np

from scripts.common.batching import BatchingMode, BatchingSettings, BatchPlan, plan_batches
from scripts.common.token_rows import TokenRows

_RNG = np.random.default_rng(0)
# Longer than the mini model's sliding window of 64 tokens, and shorter.
LENGTHS = (90, 17, 33, 70, 25, 41, 12, 78)
MAX_SEQ_LEN = 96
TINY_ROWS = TokenRows.from_lists(
    [_RNG.integers(20, 900, length).tolist() for length in LENGTHS], [length // 3 for length in LENGTHS]
)


def tiny_plan(mode: BatchingMode, rows_per_micro_batch: int) -> BatchPlan:
    """One step of all eight rows."""
    batching = BatchingSettings(mode, (32, 64, 96, 192), MAX_SEQ_LEN)
    return plan_batches(TINY_ROWS.lengths, np.arange(len(LENGTHS))[None], batching, rows_per_micro_batch)
