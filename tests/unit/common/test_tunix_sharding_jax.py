"""Annotations that do not fit the mesh are replaced, and every array lies where its annotation says."""

import json
import os
import subprocess
import sys

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

from scripts.common.tunix_sharding import Annotation, misfit

MESH = jax.sharding.AbstractMesh((2, 4), ("fsdp", "tp"))


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        ((), ()),
        ((None, None), (3, 5)),
        (("fsdp", "tp"), (2, 4)),
        (("tp", None), (12, 5)),
        ((("fsdp", "tp"), None), (16, 5)),
    ],
)
def test_what_fits(annotation: Annotation, shape: tuple[int, ...]) -> None:
    assert misfit(annotation, shape, MESH) is None


@pytest.mark.parametrize(
    ("annotation", "shape", "reason"),
    [
        (("tp",), (4, 4), "1 axes for 2 dimensions"),
        (("tp", None, "fsdp"), (4, 4), "3 axes for 2 dimensions"),
        (("tp", None), (6, 4), "tp = 4 does not divide 6"),
        ((None, ("fsdp", "tp")), (4, 12), "fsdp x tp = 8 does not divide 12"),
        (("model", None), (4, 4), "the mesh has no axis model"),
        (("tp", "tp"), (4, 4), "axis tp stands twice"),
    ],
)
def test_what_does_not_fit_and_why(annotation: Annotation, shape: tuple[int, ...], reason: str) -> None:
    assert misfit(annotation, shape, MESH) == reason


@pytest.fixture(scope="module")
def on_four_devices() -> dict:
    """What a process with four virtual devices found: see sharded_model.py."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-m", "tests.unit.common.sharded_model"]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def test_wrong_annotations_are_replicated_and_reported(on_four_devices: dict) -> None:
    assert on_four_devices["reported"] == [
        "one_axis_short (8, 4) ('tp',): 1 axes for 2 dimensions",
        "one_axis_long (8, 4) ('tp', None, None): 3 axes for 2 dimensions",
        "indivisible (6, 4) ('tp', None): tp = 4 does not divide 6",
    ]
    assert on_four_devices["shards"]["one_axis_short"] == [8, 4]
    assert on_four_devices["shards"]["one_axis_long"] == [8, 4]
    assert on_four_devices["shards"]["indivisible"] == [6, 4]


def test_right_annotations_are_applied(on_four_devices: dict) -> None:
    assert on_four_devices["shards"]["right"] == [2, 4]
    assert on_four_devices["shards"]["unannotated"] == [3]


def test_a_second_pass_finds_nothing(on_four_devices: dict) -> None:
    assert on_four_devices["reported_again"] == []


def test_the_optimizers_state_is_checked_likewise(on_four_devices: dict) -> None:
    """Adam's two moments of the right parameter are sharded as it is; a wrong annotation of one is replaced."""
    assert on_four_devices["moments_of_right"] == [[2, 4], [2, 4]]
    assert any("tp = 4 does not divide 6" in line for line in on_four_devices["reported_of_optimizer"])
    assert on_four_devices["moments_of_indivisible"] == [[6, 4], [6, 4]]


def test_the_published_architecture_needs_no_change(on_four_devices: dict) -> None:
    """Qwix 0.1.8 annotates LoRA's factors right; in four bits the scales of the MLP's three tiles cannot be split."""
    assert on_four_devices["reported_of_mini"] == []
    assert on_four_devices["reasons_of_mini_in_four_bits"] == ["tp = 4 does not divide 3"]


def test_four_bit_weights_take_about_a_quarter_of_bfloat16s(on_four_devices: dict) -> None:
    """4 bits a weight, and a scale for 128: in one on an accelerator; a CPU keeps each in a byte."""
    assert on_four_devices["share_of_bfloat16"] == pytest.approx((4 + 32 / 128) / 16)


def test_factors_and_four_bit_weights_are_split_over_the_devices(on_four_devices: dict) -> None:
    assert on_four_devices["mini_shards"] == {"kernel_lora_b": [4, 96], "w_lora_a": [2, 32, 4]}
    assert on_four_devices["four_bit_shards"] == {"gate_proj": [128, 96], "attn_vec_einsum": [2, 32, 128]}
