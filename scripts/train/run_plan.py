"""The rows of a training run and the micro-batches of its every step, the same for every backend."""

from __future__ import annotations

from pathlib import Path

from scripts.common.batching import BatchPlan, plan_batches, sample_order
from scripts.common.errors import UserError
from scripts.common.token_rows import TokenRows, read_token_rows
from scripts.train.settings import TrainSettings


def plan_run(settings: TrainSettings, tokens: Path, data_shards: int) -> tuple[TokenRows, BatchPlan]:
    """The data stage's rows at `tokens` and their plan for a batch split over `data_shards`.

    Raises UserError when they do not fill a step, or a step cannot be split.
    """
    rows = read_token_rows(tokens)
    try:
        order = sample_order(len(rows), settings.epochs, settings.samples_per_step, settings.seed)
        plan = plan_batches(rows.lengths, order, settings.batching, settings.micro_batch_size * data_shards)
    except ValueError as error:
        raise UserError(f"{tokens}: {error}") from None
    return rows, plan
