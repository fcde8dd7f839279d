"""Meshes of a slice: which the model can be divided over, and why not."""

import json
from pathlib import Path

import pytest

from scripts.common.gemma4_shapes import gemma4_shapes
from scripts.common.jax_platform import MeshShape
from scripts.common.slices import known_slices, parse_slice
from scripts.plan.meshes import judge, meshes_of

SHAPES = gemma4_shapes(json.loads(Path("resources/models/gemma-4-31B-it.config.json").read_text()))
GLOBAL_HEADS = "tp 8 does not divide 4 KV heads of global layers"


def test_every_mesh_of_a_v5p_8_is_listed() -> None:
    found = meshes_of(SHAPES, parse_slice("v5p-8").chips, samples_per_step=8, micro_batch_size=1)
    assert [(judged.mesh.fsdp, judged.mesh.tp) for judged in found] == [(4, 1), (2, 2), (1, 4)]
    assert all(judged.is_valid for judged in found)


@pytest.mark.parametrize("name", [name for name in known_slices() if parse_slice(name).chips >= 8])
def test_tp_8_is_refused_on_every_slice_for_its_global_kv_heads(name: str) -> None:
    found = meshes_of(SHAPES, parse_slice(name).chips, samples_per_step=256, micro_batch_size=1)
    (eight,) = [judged for judged in found if judged.mesh.tp == 8]
    assert eight.problems == (GLOBAL_HEADS,)


def test_the_papers_2_by_8_on_16_devices_is_refused_and_4_by_4_is_not() -> None:
    chips = parse_slice("v5p-32").chips
    assert judge(SHAPES, MeshShape(2, 8), chips, 8, 1).problems == (GLOBAL_HEADS,)
    assert judge(SHAPES, MeshShape(4, 4), chips, 8, 1).is_valid


def test_a_mesh_of_another_slice_and_a_batch_that_does_not_divide_are_named() -> None:
    assert "8 devices, the slice has 4" in judge(SHAPES, MeshShape(1, 8), 4, 8, 1).problems[0]
    (problem,) = judge(SHAPES, MeshShape(16, 4), 64, 8, 1).problems
    assert problem == "8 samples a step are no multiple of 1 x fsdp 16 rows"
