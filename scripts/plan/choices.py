"""The plan's settings, and the choices that follow from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import Gemma4Shapes
from scripts.common.jax_platform import MeshShape
from scripts.common.lora import LoraSettings
from scripts.common.slices import parse_slice
from scripts.plan.lengths import BatchingMode, LengthQuantiles
from scripts.plan.meshes import judge
from scripts.plan.points import CompilePoint, CrossEntropy, Remat, StepChoice, compile_points


@dataclass(frozen=True)
class Reference:
    """A published run that calibrates predictions: how it ran, and how long a sample took."""

    slice_name: str
    mesh: MeshShape
    micro_batch_size: int
    remat: Remat
    batching: BatchingMode
    lora_targets: Literal["published", "all"]
    cross_entropy: CrossEntropy
    sec_per_sample: float
    source: str


@dataclass(frozen=True)
class Alternatives:
    """What is compared, each with each; `meshes` null is every valid mesh of the slice."""

    remat: tuple[Remat, ...]
    batching: tuple[BatchingMode, ...]
    meshes: tuple[MeshShape, ...] | None
    micro_batch_sizes: tuple[int, ...]
    lora_targets: tuple[Literal["published", "all"], ...]
    cross_entropy: tuple[CrossEntropy, ...]


@dataclass(frozen=True)
class ScaleOutStep:
    """A slice of the table of slices, and how the step runs there."""

    slice_name: str
    remat: Remat
    tp: int


@dataclass(frozen=True)
class PlanSettings:
    """See `plan` in config.yaml."""

    slice_name: str
    samples_per_step: int
    samples: int
    epochs: int
    full_rows: int
    sampled_rows: int
    lora_rank: int
    lora_alpha: float
    lora_dropout: float
    dtype: Literal["float32", "bfloat16"]
    layers_compiled: dict[Remat, tuple[int, ...]]
    row_lengths_compiled_tokens: tuple[int, ...]
    row_length_step_tokens: int
    max_seq_len_tokens: int
    lengths: LengthQuantiles
    reference: Reference
    alternatives: Alternatives
    scale_out: tuple[ScaleOutStep, ...]

    def __post_init__(self) -> None:
        for remat, layers in self.layers_compiled.items():
            if len(layers) != 2 or layers[0] >= layers[1]:
                raise ValueError(f"layers_compiled.{remat}: two numbers of layers, ascending, are needed")
        if len(self.row_lengths_compiled_tokens) != 3 or sorted(set(self.row_lengths_compiled_tokens)) != list(
            self.row_lengths_compiled_tokens
        ):
            raise ValueError("row_lengths_compiled_tokens: three lengths, ascending, are needed")
        if self.row_lengths_compiled_tokens[-1] != self.max_seq_len_tokens:
            raise ValueError(
                f"row_lengths_compiled_tokens: the longest must be data.max_seq_len_tokens = {self.max_seq_len_tokens}"
            )

    def row_lengths(self) -> list[int]:
        """Lengths that a bucketed or packed row may have, ascending: multiples of a step, and the longest."""
        longest, step = self.max_seq_len_tokens, self.row_length_step_tokens
        return sorted({*range(step, longest, step), longest})

    def choice(
        self,
        slice_name: str,
        mesh: MeshShape,
        micro_batch_size: int,
        remat: Remat,
        lora_targets: Literal["published", "all"],
        cross_entropy: CrossEntropy,
    ) -> StepChoice:
        lora = LoraSettings(self.lora_rank, self.lora_alpha, self.lora_dropout, lora_targets)
        return StepChoice(slice_name, mesh, micro_batch_size, remat, lora, cross_entropy, self.dtype)

    def reference_choice(self) -> StepChoice:
        r = self.reference
        return self.choice(r.slice_name, r.mesh, r.micro_batch_size, r.remat, r.lora_targets, r.cross_entropy)


def plan_choices(settings: PlanSettings, shapes: Gemma4Shapes) -> list[StepChoice]:
    """The alternatives on the plan's slice whose mesh is valid. Raises UserError where none is."""
    chips = parse_slice(settings.slice_name).chips
    options = settings.alternatives
    meshes = options.meshes or tuple(MeshShape(chips // tp, tp) for tp in range(1, chips + 1) if chips % tp == 0)
    choices = []
    for mesh, size in itertools.product(meshes, options.micro_batch_sizes):
        if judge(shapes, mesh, chips, settings.samples_per_step, size).is_valid:
            choices += [
                settings.choice(settings.slice_name, mesh, size, remat, targets, cross_entropy)
                for remat, targets, cross_entropy in itertools.product(
                    options.remat, options.lora_targets, options.cross_entropy
                )
            ]
    if not choices:
        raise UserError(f"plan: no mesh of plan.alternatives is valid on {settings.slice_name}; see the list of meshes")
    return choices


def scale_out_choices(settings: PlanSettings) -> Iterator[tuple[StepChoice, bool]]:
    """The step of each slice of the table of slices, and whether its mesh has the slice's devices."""
    for step in settings.scale_out:
        chips = parse_slice(step.slice_name).chips
        mesh = MeshShape(max(1, chips // step.tp), step.tp)
        reference = settings.reference
        choice = settings.choice(
            step.slice_name, mesh, 1, step.remat, reference.lora_targets, reference.cross_entropy
        )  # fmt: skip
        yield choice, mesh.devices == chips


def points_of_plan(settings: PlanSettings, shapes: Gemma4Shapes) -> list[CompilePoint]:
    """Everything that the plan's tables need compiled; shorter rows only where rows are not all padded."""
    lengths = settings.row_lengths_compiled_tokens
    varied = set(settings.alternatives.batching) - {"pad"}
    points = _few_layers(settings, [settings.reference_choice()], lengths[-1:])
    points += _few_layers(settings, plan_choices(settings, shapes), lengths if varied else lengths[-1:])
    return list(dict.fromkeys(points))


def points_of_scale_out(settings: PlanSettings) -> list[CompilePoint]:
    """What the table of slices needs compiled: rows of the longest length."""
    choices = [choice for choice, fits in scale_out_choices(settings) if fits]
    return _few_layers(settings, choices, settings.row_lengths_compiled_tokens[-1:])


def _few_layers(
    settings: PlanSettings, choices: Iterable[StepChoice], row_lengths: Sequence[int]
) -> list[CompilePoint]:
    """Each choice with the numbers of layers from which its rematerialisation is extrapolated."""
    return [
        point
        for choice in choices
        for point in compile_points([choice], settings.layers_compiled[choice.remat], row_lengths)
    ]


def check_points(settings: PlanSettings, shapes: Gemma4Shapes) -> list[CompilePoint]:
    """The reference and the same step without rematerialisation, with all layers: what the extrapolation must meet."""
    reference = settings.reference_choice()
    other = settings.choice(
        reference.slice_name, reference.mesh, reference.micro_batch_size, "none",
        settings.reference.lora_targets, reference.cross_entropy,
    )  # fmt: skip
    return compile_points([reference, other], [shapes.layers], settings.row_lengths_compiled_tokens[-1:])
