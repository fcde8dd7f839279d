"""The TRL arm's loss is the Tunix arm's, its batches hold the rows in the order given, and it goes on where it was."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file

from scripts.common.batching import BatchingMode
from scripts.common.files import read_json, read_jsonl, read_manifest
from scripts.common.hf_gemma4 import load_model
from scripts.common.lora import LoraSettings
from scripts.common.token_rows import read_token_rows
from scripts.train import train_trl, trl_trainer
from scripts.train.trl_trainer import Recorder, peft_config, step_tensors, weighted_nll
from tests.unit.train.example_loss import LOGITS, TOKENS, WEIGHTS, expected_loss
from tests.unit.train.tiny_rows import TINY_ROWS, tiny_plan
from tests.unit.train.tiny_run import TinyRun, make_inputs, make_inputs_without

MINI = Path("resources/mini/model")


def test_the_loss_is_a_mean_per_sample_then_over_samples() -> None:
    (loss,) = weighted_nll(torch.from_numpy(LOGITS), torch.from_numpy(TOKENS), torch.from_numpy(WEIGHTS))
    assert loss.item() == pytest.approx(expected_loss(), rel=1e-5)


@pytest.fixture(scope="module")
def model() -> peft.PeftModel:
    """The mini model with LoRA factors that are no longer zero, so that every gradient is there."""
    torch.manual_seed(0)
    model = peft.get_peft_model(load_model(MINI, "float32"), peft_config(LoraSettings(4, 8.0, 0.0, "all")))
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


def loss_and_gradient(model: peft.PeftModel, mode: BatchingMode, rows: int, processes: int) -> tuple[float, np.ndarray]:
    """Of one step: the losses of its micro-batches on all processes added up, and their gradients, end to end."""
    plan = tiny_plan(mode, rows)
    model.zero_grad()
    total = 0.0
    for process in range(processes):
        for batch in step_tensors(TINY_ROWS, plan, process, processes)["micro_batches"]:
            logits = model(input_ids=batch["tokens"], position_ids=batch["positions"], use_cache=False).logits
            (loss,) = weighted_nll(logits, batch["tokens"], batch["loss_weights"])
            loss.backward()
            total += loss.item()
    gradients = [parameter.grad.ravel() for parameter in model.parameters() if parameter.requires_grad]
    return total, torch.cat(gradients).numpy().copy()


def test_every_batching_mode_has_the_same_loss_and_gradient(model: peft.PeftModel) -> None:
    reference_loss, reference = loss_and_gradient(model, "pad", 1, 1)
    assert np.abs(reference).max() > 1e-3
    for mode, rows, processes in (("pad", 4, 2), ("bucket", 1, 1), ("bucket", 2, 2), ("pack", 1, 1), ("pack", 2, 2)):
        loss, gradient = loss_and_gradient(model, mode, rows, processes)  # type: ignore[arg-type]
        assert loss == pytest.approx(reference_loss, rel=1e-5)
        assert np.abs(gradient - reference).max() <= 1e-5 * np.abs(reference).max()


def test_a_part_is_a_processs_rows_of_a_step() -> None:
    plan = tiny_plan("pad", 4)
    parts = [step_tensors(TINY_ROWS, plan, part, 2)["micro_batches"] for part in range(2)]
    for number, micro_batch in enumerate(plan.steps[0]):
        together = torch.cat([part[number]["tokens"] for part in parts])
        assert together[:, 0].tolist() == [int(TINY_ROWS.row(row[0])[0]) for row in micro_batch.rows]


def test_peft_scales_by_alpha_over_rank_like_qwix() -> None:
    config = peft_config(LoraSettings(rank=16, alpha=32.0, dropout=0.05, targets="all"))
    assert (config.r, config.lora_alpha, config.lora_dropout, config.use_rslora) == (16, 32.0, 0.05, False)


# ---- Asked to end, and going on


class AskedToEndAfterStep3(Recorder):
    """Sends the process SIGTERM in the middle of its third step's logging."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        super().on_log(args, state, control, logs, **kwargs)
        if state.global_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def train_here(run: TinyRun) -> None:
    train_trl.main([*run.arguments()[2:], "--settings", json.dumps(run.settings)])


def test_sigterm_saves_first_and_the_same_command_ends_with_the_same_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With dropout; the log of the stopped process is torn, as a kill can leave it."""
    inputs = make_inputs(tmp_path / "inputs")
    whole, stopped = (TinyRun(tmp_path / name, inputs, {}, arm={"processes": 1, "fsdp": False}) for name in ("a", "b"))
    train_here(whole)
    monkeypatch.setattr(trl_trainer, "Recorder", AskedToEndAfterStep3)
    with pytest.raises(SystemExit) as ended:
        train_here(stopped)
    monkeypatch.undo()
    assert ended.value.code == os.EX_TEMPFAIL
    assert "stopped: SIGTERM: saved after optimizer step 4 of 12; run the same command again" in capfd.readouterr().err
    assert not (tmp_path / "b/out").exists()
    with open(stopped.state / "metrics.jsonl", "a") as log:
        log.write('{"step": 5, "lo')
    train_here(stopped)
    assert stopped.losses() == whole.losses()
    ours, theirs = (load_file(run.folder / "out/adapter/adapter_model.safetensors") for run in (stopped, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    kept = {path.name for path in (stopped.state / "checkpoints").glob("checkpoint-*")}
    assert kept == {"checkpoint-12", "checkpoint-9"}


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first step has rate 0, the second's blows the factors up. The same command meets the same again."""
    diverging = {"peak_learning_rate": 1e30, "checkpoint_interval_steps": 1}
    run = TinyRun(tmp_path, make_inputs(tmp_path / "inputs"), diverging, arm={"processes": 1, "fsdp": False})
    manifests = []
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            train_here(run)
        assert ended.value.code == 2
        assert "error: optimizer step 3: loss nan, " in capfd.readouterr().err
        checkpoints = sorted((run.state / "checkpoints").glob("checkpoint-*"))
        assert [path.name for path in checkpoints] == ["checkpoint-1", "checkpoint-2"]
        manifests.append((checkpoints[-1] / "manifest.json").read_bytes())
        assert [row["step"] for row in read_jsonl(run.state / "metrics.jsonl")] == [1, 2]
    assert manifests[0] == manifests[1]
    assert not (run.folder / "out").exists()


# ---- Held-out rows


def mean_of_answer_means(base: Path, adapter: Path, tokens: Path, held_out_rows: int) -> float:
    """Of the held-out rows, one at a time, by PEFT as it loads the adapter: without dropout."""
    model = peft.PeftModel.from_pretrained(load_model(base, "float32"), adapter).eval()
    _, rows = read_token_rows(tokens).hold_out(held_out_rows)
    losses = []
    for index in range(len(rows)):
        ids = torch.from_numpy(np.array(rows.row(index), np.int64))[None]
        with torch.no_grad():
            log_p = model(input_ids=ids, use_cache=False).logits[0, :-1].double().log_softmax(-1)
        nll = -log_p.gather(1, ids[0, 1:, None])[:, 0]
        losses.append(nll[int(rows.answer_starts[index]) - 1 :].mean().item())
    return float(np.mean(losses))


def test_held_out_rows_are_not_trained_on_and_their_loss_is_without_dropout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is bit for bit that on a file without them; asked to end and gone on with, it measures the same."""
    inputs = make_inputs(tmp_path / "inputs")
    fewer = make_inputs_without(tmp_path / "fewer", inputs, 4)
    arm = {"processes": 1, "fsdp": False}
    held_out = {"held_out_rows": 4}
    whole, stopped = (TinyRun(tmp_path / name, inputs, held_out, arm=arm) for name in ("a", "b"))
    without = TinyRun(tmp_path / "c", fewer, {}, arm=arm)
    train_here(whole)
    train_here(without)
    monkeypatch.setattr(trl_trainer, "Recorder", AskedToEndAfterStep3)
    with pytest.raises(SystemExit):
        train_here(stopped)
    monkeypatch.undo()
    train_here(stopped)
    assert whole.losses() == without.losses() == stopped.losses()
    factors = [load_file(run.folder / "out/adapter/adapter_model.safetensors") for run in (whole, without, stopped)]
    assert all(torch.equal(factors[0][name], other[name]) for other in factors[1:] for name in factors[0])
    losses = whole.held_out_losses()
    assert list(losses) == [3, 6, 9]
    assert stopped.held_out_losses() == losses
    assert without.held_out_losses() == {}
    adapter = whole.folder / "out/adapter"
    for step, folder in read_manifest(adapter / "manifest.json")["steps"].items():
        expected = mean_of_answer_means(inputs / "model", adapter / folder, inputs / "train.parquet", 4)
        assert losses[int(step)] == pytest.approx(expected, rel=1e-5)
    for row in read_jsonl(whole.folder / "out/metrics.jsonl"):
        jsonschema.validate(row, read_json(Path("schemas/results/train_step.schema.json")))
    jsonschema.validate(
        read_json(whole.folder / "out/run.json"), read_json(Path("schemas/results/train_run.schema.json"))
    )
