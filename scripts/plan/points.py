"""What the compiler is asked: choices of a training step, and the sizes at which each choice is compiled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.common.jax_platform import MeshShape
from scripts.common.lora import LoraSettings

Remat = Literal["none", "decoder"]
CrossEntropy = Literal["plain", "chunked"]


@dataclass(frozen=True)
class StepChoice:
    """One way to run the training step on a slice. `micro_batch_size` is rows a data shard."""

    slice_name: str
    mesh: MeshShape
    micro_batch_size: int
    remat: Remat
    lora: LoraSettings
    cross_entropy: CrossEntropy
    dtype: Literal["float32", "bfloat16"]

    @property
    def rows(self) -> int:
        """Rows of one micro-batch over all data shards."""
        return self.micro_batch_size * self.mesh.fsdp


@dataclass(frozen=True)
class CompilePoint:
    """A choice at one size: the model cut to `layers` layers, rows of `row_len` tokens."""

    choice: StepChoice
    layers: int
    row_len: int


def compile_points(
    choices: Iterable[StepChoice], layers: Sequence[int], row_lengths: Sequence[int]
) -> list[CompilePoint]:
    """Every choice at every size, each once, choice by choice."""
    points = [CompilePoint(choice, n, length) for choice in choices for length in row_lengths for n in layers]
    return list(dict.fromkeys(points))
