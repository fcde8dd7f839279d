"""What whole runs record: the same losses in every batching mode and with either cross-entropy, times that add up,
TensorBoard's scalars; and that a model in four bits learns."""

import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from tensorboardX.proto.event_pb2 import Event

from scripts.common.files import read_json, read_jsonl
from tests.unit.train.tiny_run import STEPS, TRAIN, TinyRun, make_inputs

SCHEMAS = Path("schemas/results")
NO_DROPOUT = {"lora": {**TRAIN["lora"], "dropout": 0.0}}


def batching(mode: str) -> dict[str, Any]:
    return {"batching": {"mode": mode, "row_lengths_tokens": [24, 48, 64], "max_seq_len_tokens": 48}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    """Finished runs by what sets them apart."""
    inputs = make_inputs(tmp_path_factory.mktemp("inputs"))
    settings: dict[str, dict[str, Any]] = {mode: batching(mode) for mode in ("pad", "bucket", "pack")}
    settings["chunked"] = {**batching("pack"), "cross_entropy": "chunked"}
    settings["nf4"] = {**batching("pack"), "quantization": "nf4", "epochs": 8}
    finished = {}
    for name, changed in settings.items():
        finished[name] = TinyRun(tmp_path_factory.mktemp(name), inputs, {**NO_DROPOUT, **changed})
        finished[name].finish()
    return finished


def rows_of(run: TinyRun) -> list[dict[str, Any]]:
    return list(read_jsonl(run.folder / "out/metrics.jsonl"))


def run_json(run: TinyRun) -> dict[str, Any]:
    return dict(read_json(run.folder / "out/run.json"))


@pytest.mark.parametrize("name", ["bucket", "pack", "chunked"])
@pytest.mark.parametrize("column", ["loss", "sequence_loss", "grad_norm"])
def test_the_curves_are_those_of_padded_rows(runs: dict[str, TinyRun], name: str, column: str) -> None:
    expected, found = ([row[column] for row in rows_of(runs[other])] for other in ("pad", name))
    assert len(expected) == STEPS
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_first_loss_over_whole_samples_is_near_that_of_guessing(runs: dict[str, TinyRun]) -> None:
    """Random tokens: neither loss is far from the other, nor below ln(880), the tokens that are drawn from."""
    first = rows_of(runs["pad"])[0]
    assert first["sequence_loss"] == pytest.approx(first["loss"], rel=0.1)
    assert first["sequence_loss"] > math.log(880)


def test_rows_and_run_fit_their_schemas(runs: dict[str, TinyRun]) -> None:
    row_schema, run_schema = (read_json(SCHEMAS / f"{name}.schema.json") for name in ("train_step", "train_run"))
    for run in runs.values():
        jsonschema.validate(run_json(run), run_schema)
        for row in rows_of(run):
            jsonschema.validate(row, row_schema)


def test_the_wall_clock_is_the_sum_of_its_parts(runs: dict[str, TinyRun]) -> None:
    for run in map(run_json, runs.values()):
        parts = [run[f"{part}_sec"] for part in ("start", "compile", "train", "save")]
        assert min(parts) > 0
        assert sum(parts) + run["held_out_sec"] == pytest.approx(run["wall_clock_sec"])


def test_a_cpu_has_no_known_peak_and_so_no_mfu(runs: dict[str, TinyRun]) -> None:
    run = run_json(runs["pad"])
    block = run["mfu"]
    assert block["mfu"] is None
    assert block["timed_model_flops"] > 0
    assert block["model_flops_per_sec"] == pytest.approx(block["timed_model_flops"] / run["timed_sec"])


def test_packed_rows_have_more_real_tokens(runs: dict[str, TinyRun]) -> None:
    pad, pack = run_json(runs["pad"]), run_json(runs["pack"])
    assert pack["real_tokens"] == pad["real_tokens"]
    assert pack["padded_tokens"] < pad["padded_tokens"]


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Values by tag and step, of all the event files: records of a length, its checksum, an event and its checksum."""
    found: dict[str, dict[int, float]] = {}
    for path in folder.glob("events.out.tfevents.*"):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += 12 + length + 4
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_tensorboard_has_every_steps_loss_and_rate(runs: dict[str, TinyRun]) -> None:
    found = scalars(runs["pack"].state / "tensorboard")
    for column in ("loss", "sequence_loss", "grad_norm", "learning_rate"):
        expected = {row["step"]: row[column] for row in rows_of(runs["pack"])}
        assert found[f"train/{column}"] == pytest.approx(expected, rel=1e-6)


def test_a_model_in_four_bits_learns(runs: dict[str, TinyRun]) -> None:
    losses = [row["loss"] for row in rows_of(runs["nf4"])]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.1
    assert json.loads((runs["nf4"].folder / "out/adapter/manifest.json").read_text())["step"] == len(losses) == 32
