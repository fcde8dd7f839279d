"""Which (fsdp, tp) meshes a slice has, and which of them the model and the batch can be divided over."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.common.gemma4_shapes import Gemma4Shapes
from scripts.common.jax_platform import MeshShape


@dataclass(frozen=True)
class JudgedMesh:
    """A mesh and every reason against it; it is valid when there is none."""

    mesh: MeshShape
    problems: tuple[str, ...]

    @property
    def is_valid(self) -> bool:
        return not self.problems


def mesh_text(fsdp: int, tp: int) -> str:
    """A mesh as the plan's tables and sentences write it."""
    return f"({fsdp}, {tp})"


def meshes_of(shapes: Gemma4Shapes, chips: int, samples_per_step: int, micro_batch_size: int) -> list[JudgedMesh]:
    """Every mesh of `chips` devices, by tp ascending."""
    sizes = [tp for tp in range(1, chips + 1) if chips % tp == 0]
    return [judge(shapes, MeshShape(chips // tp, tp), chips, samples_per_step, micro_batch_size) for tp in sizes]


def judge(
    shapes: Gemma4Shapes, mesh: MeshShape, chips: int, samples_per_step: int, micro_batch_size: int
) -> JudgedMesh:
    """`mesh` on a slice of `chips` chips. Tunix shards heads, MLP width, vocabulary and activations over tp; rows of
    the batch and the other axis of each weight over fsdp (tunix.models.gemma4.model.ShardingConfig)."""
    problems = []
    if mesh.devices != chips:
        problems.append(f"{mesh.fsdp} x {mesh.tp} = {mesh.devices} devices, the slice has {chips}")
    for what, size in (
        ("query heads", shapes.query_heads),
        ("KV heads of sliding-window layers", shapes.kv_heads),
        ("KV heads of global layers", shapes.global_kv_heads),
        ("MLP width", shapes.mlp_width),
        ("vocabulary", shapes.vocabulary),
        ("width", shapes.width),
    ):
        if size % mesh.tp:
            problems.append(f"tp {mesh.tp} does not divide {size} {what}")
    if shapes.width % mesh.fsdp:
        problems.append(f"fsdp {mesh.fsdp} does not divide {shapes.width} width")
    if samples_per_step % (micro_batch_size * mesh.fsdp):
        problems.append(
            f"{samples_per_step} samples a step are no multiple of {micro_batch_size} x fsdp {mesh.fsdp} rows"
        )
    return JudgedMesh(mesh, tuple(problems))
