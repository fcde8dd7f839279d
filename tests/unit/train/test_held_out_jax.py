"""Rows that are held out of a Tunix run: never trained on, measured without dropout, and what the merge chooses by."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax.numpy as jnp
from flax import nnx

from scripts.common import tunix_gemma4
from scripts.common.batching import BatchingSettings
from scripts.common.files import read_json, read_jsonl, read_manifest
from scripts.common.jax_platform import MeshShape
from scripts.common.lora import LoraSettings
from scripts.common.token_rows import TokenRows, batch_arrays, read_token_rows
from scripts.common.tunix_step import LOSSES, Batch, evaluator, lora_optimizer, train_step
from scripts.merge import choose_adapter
from scripts.merge.logits_tunix import tunix_logits
from scripts.merge.orbax_adapter import read_orbax
from scripts.merge.probe import Probe
from scripts.train.settings import TrainSettings
from scripts.train.tunix_model import trainable_model
from tests.unit.train.tiny_rows import TINY_ROWS, tiny_plan
from tests.unit.train.tiny_run import TRAIN, TinyRun, make_inputs, make_inputs_without

# Of sixteen rows: twelve are left, three steps an epoch.
HELD_OUT = {"held_out_rows": 4}
STEPS = 9


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def run(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """With dropout, in packed rows: a checkpoint every third step."""
    run = TinyRun(tmp_path_factory.mktemp("held-out"), inputs, HELD_OUT)
    run.finish()
    return run


def test_training_is_as_on_a_file_without_the_held_out_rows(run: TinyRun, tmp_path: Path) -> None:
    """Bit for bit: the rows are in no step, and measuring their loss changes nothing, the dropout masks neither."""
    other = TinyRun(tmp_path / "run", make_inputs_without(tmp_path / "inputs", run.inputs, 4))
    other.finish()
    assert run.losses() == other.losses()
    assert len(run.losses()) == STEPS
    ours, theirs = run.adapter(), other.adapter()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert other.held_out_losses() == {}


def mean_of_answer_means(rows: TokenRows, base: Path, adapter: Path) -> float:
    """One row at a time, nothing padded or packed, with the logits of the merge's proof: a model without dropout."""
    lora, losses = LoraSettings(**TRAIN["lora"]), []
    for index in range(len(rows)):
        tokens, start = rows.row(index), int(rows.answer_starts[index])
        probe = Probe([tokens], positions=len(tokens))
        logits = tunix_logits(base, read_orbax(adapter), lora, MeshShape(1, 1), "float32", probe)[0].astype(np.float64)
        nll = np.log(np.exp(logits).sum(axis=-1))[:-1] - logits[np.arange(len(tokens) - 1), tokens[1:]]
        losses.append(nll[start - 1 :].mean())
    return float(np.mean(losses))


def test_the_loss_is_that_of_each_steps_adapter_without_dropout(run: TinyRun) -> None:
    _, held_out = read_token_rows(run.inputs / "train.parquet").hold_out(4)
    found = run.held_out_losses()
    assert list(found) == [3, 6, 9]
    adapter = run.folder / "out/adapter"
    for step, folder in read_manifest(adapter / "manifest.json")["steps"].items():
        expected = mean_of_answer_means(held_out, run.inputs / "model", adapter / folder / "model_params")
        assert found[int(step)] == pytest.approx(expected, rel=1e-5)


def test_rows_and_run_fit_their_schemas_and_tell_the_time_apart(run: TinyRun) -> None:
    rows = list(read_jsonl(run.folder / "out/metrics.jsonl"))
    for row in rows:
        jsonschema.validate(row, read_json(Path("schemas/results/train_step.schema.json")))
        assert (row["held_out_sec"] > 0) == (row["held_out_loss"] is not None)
    whole = read_json(run.folder / "out/run.json")
    jsonschema.validate(whole, read_json(Path("schemas/results/train_run.schema.json")))
    assert whole["samples"] == STEPS * 4
    parts = [whole[f"{part}_sec"] for part in ("start", "compile", "train", "held_out", "save")]
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(whole["wall_clock_sec"])


def test_killed_right_after_a_checkpoint_no_value_is_lost_or_measured_twice(run: TinyRun, tmp_path: Path) -> None:
    killed = TinyRun(tmp_path, run.inputs, HELD_OUT)
    process = killed.start()
    while not list(tmp_path.glob("state/*/checkpoints/[0-9]*/manifest.json")) and process.is_alive():
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    killed.finish()
    assert killed.losses() == run.losses()
    assert killed.held_out_losses() == run.held_out_losses()
    ours, theirs = killed.adapter(), run.adapter()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_the_merge_chooses_the_published_step_with_the_least_held_out_loss(run: TinyRun, tmp_path: Path) -> None:
    adapter, output = run.folder / "out/adapter/manifest.json", tmp_path / "chosen/manifest.json"
    files = ["--adapter", str(adapter), "--metrics", str(run.folder / "out/metrics.jsonl"), "--output", str(output)]
    choose_adapter.main(["--settings", json.dumps({"step": "best"}), *files])
    published = {int(step) for step in read_manifest(adapter)["steps"]}
    losses = {step: loss for step, loss in run.held_out_losses().items() if step in published}
    assert len(losses) == 2
    assert losses[read_manifest(output)["step"]] == min(losses.values())


def test_more_rows_than_there_are_is_one_line_and_leaves_no_output(inputs: Path, tmp_path: Path) -> None:
    line = TinyRun(tmp_path, inputs, {"held_out_rows": 17}).fail(2)
    assert line.endswith("train.parquet: 16 rows are fewer than are to be held out, with train.held_out_rows = 17")
    assert not (tmp_path / "out").exists()


def test_dropout_is_off_after_a_step_with_it_and_rematerialised_layers(inputs: Path) -> None:
    """Half of the inputs are dropped in training: the loss without is another."""
    settings = TrainSettings(
        arm="tpu", seed=0, hardware="laptop", hardware_kind="cpu", epochs=1, samples_per_step=8, micro_batch_size=1,
        lora=LoraSettings(4, 8.0, 0.5, "all"), peak_learning_rate=1e-3, warmup_steps=1, weight_decay=0.0,
        dtype="float32", remat="decoder", checkpoint_interval_steps=1, checkpoints_kept=1,
        batching=BatchingSettings("pack", None, 96),
    )  # fmt: skip
    loss = LOSSES["chunked"]
    batch = Batch(**batch_arrays(TINY_ROWS, tiny_plan("pack", 1).micro_batches[0], 8))
    mesh = tunix_gemma4.make_mesh(1, 1)
    with mesh:
        model = trainable_model(settings, inputs / "model", mesh)
        optimizer = nnx.Optimizer(model, lora_optimizer(0.1, 0.0, None, 1), wrt=nnx.LoRAParam)
        step = nnx.jit(train_step, static_argnames="loss")
        for _ in range(2):
            step(model, optimizer, batch, loss=loss)
        found = float(evaluator(model, loss)(nnx.state(model), batch))
        still = trainable_model(replace(settings, lora=replace(settings.lora, dropout=0.0)), inputs / "model", mesh)
        nnx.update(still, nnx.state(model, nnx.LoRAParam))
        inputs_of_loss = (batch.tokens, batch.positions, batch.documents, jnp.asarray(batch.loss_weights))
        expected = float(nnx.jit(loss)(still, *inputs_of_loss))
        dropped = float(nnx.jit(loss)(model, *inputs_of_loss))
    assert found == pytest.approx(expected, rel=1e-5)
    assert abs(dropped - expected) > 1e-3 * expected
