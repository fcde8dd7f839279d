"""The real TPU compiler on a narrow Gemma 4 of six layers, for a slice that is not there."""

import json
import os
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.experimental.topologies
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from scripts.common import tunix_step
from scripts.common.jax_platform import MeshShape
from scripts.common.lora import LoraSettings
from scripts.plan import abstract_step, compile_step
from scripts.plan.points import CompilePoint, StepChoice

PUBLISHED = json.loads(Path("tests/data/gemma-4-31B-it.config.json").read_text())
SCHEMA = json.loads(Path("schemas/results/plan_compiled.schema.json").read_text())
# Narrow, with the published numbers of heads: what is refused for them is refused here.
NARROW = {"hidden_size": 512, "intermediate_size": 1024, "vocab_size": 4096, "head_dim": 32, "global_head_dim": 64}
POINT = CompilePoint(
    StepChoice("v5p-8", MeshShape(1, 4), 1, "none", LoraSettings(8, 8.0, 0.0, "all"), "plain", "bfloat16"), 6, 256
)
needs_libtpu = pytest.mark.skipif(
    find_spec("libtpu") is None, reason="the TPU compiler is not installed: jax[tpu] of envs/jax.txt brings it"
)


def compiled(folder: Path, point: CompilePoint) -> dict[str, Any]:
    """What the entry script writes for `point` of the narrow model."""
    config = folder / "config.json"
    config.write_text(json.dumps({"text_config": {**PUBLISHED["text_config"], **NARROW}}))
    compile_step.main(
        ["--settings", json.dumps(asdict(point)), "--model-config", str(config), "--output", str(folder / "point.json")]
    )
    result: dict[str, Any] = json.loads((folder / "point.json").read_text())
    return result


@needs_libtpu
def test_the_step_compiles_and_says_what_it_takes(tmp_path: Path) -> None:
    record = compiled(tmp_path, POINT)
    jsonschema.Draft202012Validator(SCHEMA["properties"]["points"]["items"]).validate(record)
    found = record["compiled"]
    parts = found["arguments_bytes_by_part"]
    # Accumulated gradients are float32, LoRA and each of its two moments bfloat16.
    assert parts["accumulated_gradients"] == 2 * parts["lora"]
    assert parts["optimizer_moments"] == pytest.approx(2 * parts["lora"], rel=1e-3)
    # Weights are donated: almost all results take the place of an argument.
    assert found["aliased_bytes"] > 0.9 * parts["frozen_weights"]
    # Forward, and backward through frozen weights: twice the matrices' FLOPs, more with attention and LoRA.
    matrices = 6 * (3 * 512 * 1024) + 4096 * 512
    assert found["flops"] > 2 * 2 * matrices * 256 / 4
    kinds = {collective["kind"] for collective in found["collectives"]}
    assert kinds >= {"all-gather", "all-reduce"}
    assert found["loops_of_unknown_length"] == 0


@needs_libtpu
def test_eight_way_tensor_parallelism_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        compiled(tmp_path, replace(POINT, choice=replace(POINT.choice, slice_name="v5p-32", mesh=MeshShape(2, 8))))
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: mesh (fsdp 2, tp 8): JAX refuses it")


@needs_libtpu
def test_a_mesh_of_other_devices_and_an_unknown_slice_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for choice, message in (
        (replace(POINT.choice, mesh=MeshShape(1, 8)), "needs 8 devices, v5p-8 has 4"),
        (replace(POINT.choice, slice_name="v5p-9"), "slice 'v5p-9': unknown"),
    ):
        with pytest.raises(SystemExit):
            compiled(tmp_path, replace(POINT, choice=choice))
        assert message in capsys.readouterr().err.splitlines()[-1]


@needs_libtpu
def test_a_compiler_that_another_process_holds_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def held(*_: Any, **__: Any) -> None:
        raise RuntimeError("ABORTED: The TPU is already in use by process with pid 7.\nNot attempting to load libtpu.")

    monkeypatch.setattr(jax.experimental.topologies, "get_topology_desc", held)
    with pytest.raises(SystemExit) as stopped:
        compiled(tmp_path, POINT)
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: libtpu does not describe v5p:2x2x1: ABORTED: The TPU is already in use by process")


@needs_libtpu
def test_cross_entropy_lays_out_nothing_of_the_vocabularys_size_but_the_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Logits of 3,072 x 262,144 over four chips, 768 MiB each: a mask of them would take 192 MiB as booleans."""
    for name, value in compile_step.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    mesh = abstract_step.slice_mesh("v5p-8", 1, 4)

    def array(shape: tuple[int, ...], dtype: Any, *spec: str | None) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, PartitionSpec(*spec)))

    logits = array((1, 3072, 262144), jnp.float32, None, None, "tp")
    targets, weights = array((1, 3072), jnp.int32), array((1, 3072), jnp.float32)
    step = jax.jit(jax.value_and_grad(tunix_step.weighted_nll)).lower(logits, targets, weights).compile()
    memory = step.memory_analysis()
    assert memory.output_size_in_bytes >= 768 * 2**20
    assert memory.temp_size_in_bytes < 8 * 2**20


def test_a_missing_compiler_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compile_step.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        compiled(tmp_path, POINT)
    assert stopped.value.code == 2
    assert "error: libtpu is not installed here" in capsys.readouterr().err
