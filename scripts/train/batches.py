"""Which sample reaches which optimizer step, the same for every backend."""

from __future__ import annotations

import numpy as np

from scripts.common.token_rows import TokenRows
from scripts.train.settings import total_steps


def sample_order(rows: int, epochs: int, samples_per_step: int, seed: int) -> np.ndarray:
    """Row indices of every optimizer step, shape (steps, samples_per_step): each epoch a fresh permutation of `seed`.

    An epoch's incomplete last step is left out. Raises ValueError when the rows do not fill one step.
    """
    steps_per_epoch = total_steps(rows, 1, samples_per_step)
    if steps_per_epoch == 0:
        raise ValueError(f"{rows} rows do not fill one step of {samples_per_step} samples")
    used = steps_per_epoch * samples_per_step
    epochs_order = [np.random.default_rng([seed, epoch]).permutation(rows)[:used] for epoch in range(epochs)]
    return np.concatenate(epochs_order).reshape(-1, samples_per_step)


def real_tokens_by_step(rows: TokenRows, order: np.ndarray) -> np.ndarray:
    """Tokens that are not padding in each optimizer step, shape (steps,)."""
    lengths = np.array([len(row) for row in rows.input_ids])
    return lengths[order].sum(axis=1)
