"""The paper's way to tokens and mask (section 3.8), to be measured against: turns tokenised apart, offsets added up.

Tokenised apart, a token of the whole text that reaches over a boundary cannot appear, and an offset counted on one
tokenisation may be applied to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.common.chat_format import ChatFormat
from scripts.data.codev import Sample
from scripts.data.render import Renderer, TokenRow

# Rows that the data stage compares: the paper's way is slow, and the share of rows is all that is asked.
SEGMENT_ROWS = 500


@dataclass(frozen=True)
class SegmentComparison:
    """Of `rows` rows, how many would have other tokens, and how many a loss over other tokens."""

    rows: int
    rows_with_other_tokens: int
    rows_with_other_mask: int


def render_apart(tokenizer: Any, sample: Sample) -> TokenRow:
    """One row the paper's way: user turn and model turn tokenised apart, the model turn's header taken off the mask by
    its own length in tokens. Without the newline that closes the model turn, which would differ in every row."""
    user = f"<start_of_turn>user\n{sample.prompt}<end_of_turn>\n"
    header = "<start_of_turn>model\n"
    turns = [
        tokenizer.encode(text, add_special_tokens=False) for text in (user, f"{header}{sample.answer}<end_of_turn>")
    ]
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    answer_start = len(start) + len(turns[0]) + len(tokenizer.encode(header, add_special_tokens=False))
    return TokenRow(np.array([*start, *turns[0], *turns[1]], np.int32), answer_start)


def compare_segments(tokenizer: Any, samples: Sequence[Sample]) -> SegmentComparison:
    """`samples` rendered both ways with the paper's template."""
    rendered = Renderer(tokenizer, ChatFormat("paper", None)).render(samples)
    pairs = [
        (ours, render_apart(tokenizer, sample))
        for ours, sample in zip(rendered, samples, strict=True)
        if isinstance(ours, TokenRow)
    ]
    return SegmentComparison(
        rows=len(pairs),
        rows_with_other_tokens=sum(not np.array_equal(a.input_ids, b.input_ids) for a, b in pairs),
        rows_with_other_mask=sum(
            not np.array_equal(a.input_ids[a.answer_start :], b.input_ids[b.answer_start :]) for a, b in pairs
        ),
    )
