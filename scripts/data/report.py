"""The data stage's report: what was read, kept and dropped and why, and how long the rows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scripts.data.filters import Dropped, FilterName, Selection
from scripts.data.read_samples import BadRow

# Examples of each reason that the report shows.
EXAMPLES_PER_REASON = 5
PERCENTILES = (50, 75, 90, 95, 99, 99.5, 100)
HISTOGRAM_BINS = 64
# Values of max_seq_len_tokens beside the configured one, of which the report says what share of rows they would keep.
CANDIDATE_LENGTHS = tuple(1024 * n for n in (1, 2, 3, 4, 6, 8, 16))
CANDIDATE_SHARES = (1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 2)


def counts(rows_read: int, selection: Selection, bad: Sequence[BadRow]) -> dict[str, Any]:
    """Counts and examples by reason; kept, dropped and bad rows add up to the rows read."""
    return {
        "rows_read": rows_read,
        "rows_kept": len(selection.samples),
        "rows_dropped": {name: len(rows) for name, rows in selection.dropped.items()},
        "dropped_examples": {name: _examples(rows) for name, rows in selection.dropped.items() if rows},
        "bad_rows": len(bad),
        "bad_row_examples": [{"row": row.id, "why": row.problem} for row in bad[:EXAMPLES_PER_REASON]],
    }


def _examples(rows: Sequence[Dropped]) -> list[dict[str, str]]:
    return [{"row": row.id, "why": row.detail} for row in rows[:EXAMPLES_PER_REASON]]


def lengths(rendered: np.ndarray, kept: np.ndarray, max_seq_len_tokens: int) -> dict[str, Any]:
    """Lengths in tokens of all rows that were rendered, over-long ones too, and of those kept: int64, shape (rows,)."""
    candidates = {int(max_seq_len_tokens * share) for share in CANDIDATE_SHARES} | set(CANDIDATE_LENGTHS)
    last = next((length for length in sorted(candidates) if length >= rendered.max()), max(candidates))
    bin_tokens = max(1, -(-int(rendered.max()) // HISTOGRAM_BINS))
    edges = np.arange(0, rendered.max() + bin_tokens + 1, bin_tokens)
    return {
        "length_tokens": {"rendered": _summary(rendered), "kept": _summary(kept)},
        "length_histogram": {"bin_tokens": bin_tokens, "rows": np.histogram(rendered, edges)[0].tolist()},
        "kept_share_by_max_seq_len": [
            {"max_seq_len_tokens": length, "kept_share": float((rendered <= length).mean())}
            for length in sorted(candidates)
            if length <= max(last, max_seq_len_tokens)
        ],
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    percentiles = np.percentile(values, PERCENTILES, method="inverted_cdf")
    return {
        "mean": float(values.mean()),
        **{f"p{percentile:g}": int(value) for percentile, value in zip(PERCENTILES, percentiles, strict=True)},
    }


def filter_counts_by_name(dropped: Mapping[FilterName, Sequence[Dropped]]) -> str:
    """The counters in one line, for messages."""
    return ", ".join(f"{name} {len(rows)}" for name, rows in dropped.items())
