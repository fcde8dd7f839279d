"""Plans one epoch's batches in every batching mode: how many tokens are real, how many shapes there are to compile."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.batching import MODES, BatchingSettings, BatchPlan, plan_batches, sample_order
from scripts.common.errors import UserError, entry_point
from scripts.common.files import write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.common.token_rows import read_token_rows, with_held_out


@dataclass(frozen=True)
class PlanSettings:
    """See `train` in config.yaml; `rows_per_micro_batch` are micro_batch_size x data shards of the arms.

    The row lengths configured are of the configured mode; the others are planned with their own defaults.
    """

    samples_per_step: int
    seed: int
    rows_per_micro_batch: tuple[int, ...]
    batching: BatchingSettings
    held_out_rows: int = 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of PlanSettings")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write: a plan a mode and rows")
    return parser.parse_args(argv)


def describe(plan: BatchPlan, lengths: np.ndarray) -> dict[str, Any]:
    """One epoch's plan in numbers."""
    real, padded = int(plan.real_tokens_per_step(lengths).sum()), int(plan.padded_tokens_per_step.sum())
    return {
        "real_tokens": real,
        "padded_tokens": padded,
        "real_token_share": real / padded,
        "micro_batches_per_step": float(plan.micro_batches_per_step.mean()),
        "shapes": [
            {"rows": rows, "row_len": row_len, "micro_batches": count}
            for (rows, row_len), count in sorted(plan.shapes().items())
        ],
    }


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(PlanSettings, args.settings)
    plans = []
    try:
        lengths = read_token_rows(args.tokens).hold_out(settings.held_out_rows)[0].lengths
        order = sample_order(len(lengths), 1, settings.samples_per_step, settings.seed)
        for rows in settings.rows_per_micro_batch:
            for mode in MODES:
                default = dataclasses.replace(settings.batching, mode=mode, row_lengths_tokens=None)
                batching = settings.batching if mode == settings.batching.mode else default
                plan = plan_batches(lengths, order, batching, rows)
                plans.append({"mode": mode, "rows_per_micro_batch": rows, **describe(plan, lengths)})
    except ValueError as error:
        raise UserError(f"{args.tokens}: {error}{with_held_out(settings.held_out_rows)}") from None
    write_json(
        args.output,
        {
            "mode": settings.batching.mode,
            "samples_per_step": settings.samples_per_step,
            "held_out_rows": settings.held_out_rows,
            "steps_per_epoch": len(order),
            "plans": plans,
            "provenance": provenance("scripts.data.batching", asdict(settings)),
        },
    )


if __name__ == "__main__":
    main()
