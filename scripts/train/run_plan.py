"""The rows of a training run and the micro-batches of its every step, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common.batching import BatchPlan, plan_batches, sample_order
from scripts.common.errors import UserError
from scripts.common.token_rows import TokenRows, read_token_rows, with_held_out
from scripts.train.settings import TrainSettings


@dataclass(frozen=True)
class HeldOut:
    """Rows that are not trained on; `plan` has one step, whose loss is the mean over all of them."""

    rows: TokenRows
    plan: BatchPlan
    interval_steps: int
    last_step: int

    def is_due(self, step: int) -> bool:
        """Whether their loss is measured after optimizer step `step` (from 1): where the run saves of itself."""
        return step % self.interval_steps == 0 or step == self.last_step


def plan_run(settings: TrainSettings, tokens: Path, data_shards: int) -> tuple[TokenRows, BatchPlan, HeldOut | None]:
    """The data stage's rows at `tokens` to train on and their plan for a batch split over `data_shards`; and what is
    held out of them, if anything is.

    Raises UserError when they do not fill a step, or a step cannot be split.
    """
    count, rows_per_micro_batch = settings.held_out_rows, settings.micro_batch_size * data_shards
    try:
        rows, held_out_rows = read_token_rows(tokens).hold_out(count)
        order = sample_order(len(rows), settings.epochs, settings.samples_per_step, settings.seed)
        plan = plan_batches(rows.lengths, order, settings.batching, rows_per_micro_batch)
        if not count:
            return rows, plan, None
        once = np.arange(count)[None]
        held_out_plan = plan_batches(held_out_rows.lengths, once, settings.batching, rows_per_micro_batch)
    except ValueError as error:
        raise UserError(f"{tokens}: {error}{with_held_out(count)}") from None
    return rows, plan, HeldOut(held_out_rows, held_out_plan, settings.checkpoint_interval_steps, len(plan.steps))
