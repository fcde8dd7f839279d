"""LoRA as both frameworks understand it, and the pattern of module names that each calls its targets.

Source: the paper's section 3.3 for the names; Gemma 4's K = V layers have `k_einsum` in Tunix, which the paper's
pattern misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LoraTargets = Literal["published", "all"]
Quantization = Literal["nf4"]


@dataclass(frozen=True)
class LoraSettings:
    """The update of a weight is alpha / rank x A.B."""

    rank: int
    alpha: float
    dropout: float
    targets: LoraTargets

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, found {self.rank}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), found {self.dropout}")


_TUNIX_MODULES = ("q_einsum", "kv_einsum", "attn_vec_einsum", "gate_proj", "up_proj", "down_proj")
_HF_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def tunix_target_pattern(targets: LoraTargets) -> str:
    """Regular expression over Tunix module paths. `published` leaves K out on the layers where K = V."""
    modules = _TUNIX_MODULES if targets == "published" else (*_TUNIX_MODULES, "k_einsum")
    return "|".join(f".*{name}" for name in modules)


def hf_target_pattern() -> str:
    """Regular expression over transformers module paths: all seven projections, never in the vision tower."""
    return rf"^(?!.*vision).*\.({'|'.join(_HF_MODULES)})"
