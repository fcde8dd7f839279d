"""Lengths as the paper's data has them before over-long rows are dropped: about 0.4 % are above 3,072 tokens."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import yaml

from scripts.plan.lengths import LengthQuantiles, synthetic_lengths

CONFIG = Path("config.yaml")
LONGEST_TOKENS = 16_384


def paper_lengths(count: int) -> np.ndarray:
    """`count` lengths in tokens, int64 of shape (count,), from the quantiles that the default plan has of the paper."""
    published = LengthQuantiles(**yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["plan"]["lengths"])
    return synthetic_lengths(dataclasses.replace(published, max_tokens=LONGEST_TOKENS), count)
