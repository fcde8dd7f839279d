"""Sharding annotations of a Tunix model or optimizer, made to fit the mesh and applied.

Qwix derives the annotations of LoRA's factors from the weight's. Older versions got their rank wrong (paper, section
3.4), quantised weights have scales with fewer rows than the mesh has devices, and what a jitted or quantised function
made is often not where its annotation says. So every annotation is checked, and every array put where it belongs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

# Names of mesh axes for each dimension: a name, several, or None where the dimension is whole on every device.
Annotation = tuple[str | tuple[str, ...] | None, ...]


@dataclass(frozen=True)
class Replicated:
    """A parameter whose annotation does not fit, so that every device holds all of it."""

    path: str
    shape: tuple[int, ...]
    annotation: Annotation
    reason: str

    def __str__(self) -> str:
        return f"{self.path} {self.shape} {self.annotation}: {self.reason}"


def misfit(annotation: Annotation, shape: tuple[int, ...], mesh: jax.sharding.Mesh) -> str | None:
    """Why an array of `shape` cannot be sharded so; None if it can."""
    if len(annotation) != len(shape):
        return f"{len(annotation)} axes for {len(shape)} dimensions"
    named = [axis for entry in annotation for axis in _axes(entry)]
    if unknown := next((axis for axis in named if axis not in mesh.shape), None):
        return f"the mesh has no axis {unknown}"
    if twice := next((axis for axis in named if named.count(axis) > 1), None):
        return f"axis {twice} stands twice"
    for size, entry in zip(shape, annotation, strict=True):
        devices = math.prod(mesh.shape[axis] for axis in _axes(entry))
        if size % devices:
            return f"{' x '.join(_axes(entry))} = {devices} does not divide {size}"
    return None


def fit_shardings(node: Any, mesh: jax.sharding.Mesh) -> list[Replicated]:
    """Checks the annotation of every variable of `node` (a module or an optimizer) and puts its array in that place.

    One that does not fit is replaced by replication. Returns what was replaced. A variable without annotation is
    replicated, too, and not reported: nothing was asked of it.
    """
    replaced = []
    for path, variable in nnx.iter_graph(node):
        if not isinstance(variable, nnx.Variable):
            continue
        value = variable.get_value()
        if not isinstance(value, jax.Array) or jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            continue
        annotation = variable.get_metadata().get("out_sharding") or (None,) * value.ndim
        if reason := misfit(annotation, value.shape, mesh):
            replaced.append(Replicated(".".join(map(str, path)), value.shape, annotation, reason))
            annotation = (None,) * value.ndim
            variable.set_metadata(out_sharding=annotation)
        variable.set_value(jax.device_put(value, NamedSharding(mesh, PartitionSpec(*annotation))))
    return replaced


def _axes(entry: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if entry is None else (entry,) if isinstance(entry, str) else tuple(entry)
