"""Two processes under this project's torchrun: asked to end they save together, and both go on from there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from scripts.common.files import read_jsonl
from tests.unit.train.tiny_run import TinyRun, make_inputs

ARM = {"processes": 2, "fsdp": False}
STEPS = 80
TRAIN = {"epochs": 20, "checkpoint_interval_steps": 1000}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def start(run: TinyRun) -> subprocess.Popen[bytes]:
    """The command of the workflow's rule; what it prints goes to `run.log`."""
    run.folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "scripts.train.torchrun", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "scripts.train.train_trl", *run.arguments()]
    with open(run.log, "wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )


def ended(run: TinyRun, process: Any, status: int) -> str:
    """What it printed; it must end with `status`, and without a traceback."""
    assert process.wait(600) == status, run.log.read_text()
    output = run.log.read_text()
    assert "Traceback" not in output
    return output


def test_sigterm_saves_first_and_the_same_command_ends_with_the_same_adapter(inputs: Path, tmp_path: Path) -> None:
    """With dropout. Both processes are asked to end by the one signal to their parent."""
    whole, stopped = (TinyRun(tmp_path / name, inputs, TRAIN, arm=ARM) for name in ("whole", "stopped"))
    reference = start(whole)
    process = start(stopped)
    while stopped.metrics_so_far() < 4 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    output = ended(stopped, process, os.EX_TEMPFAIL)
    saved = stopped.metrics_so_far()
    assert 4 <= saved < STEPS
    line = f"stopped: SIGTERM: saved after optimizer step {saved} of {STEPS}; run the same command again to go on"
    assert line in output
    assert [path.name for path in (stopped.state / "checkpoints").glob("checkpoint-*")] == [f"checkpoint-{saved}"]
    assert not (stopped.folder / "out").exists()
    before = list(read_jsonl(stopped.state / "metrics.jsonl"))
    ended(stopped, start(stopped), 0)
    ended(whole, reference, 0)
    assert list(read_jsonl(stopped.folder / "out/metrics.jsonl"))[:saved] == before
    assert stopped.losses() == whole.losses()
    ours, theirs = (load_file(run.folder / "out/adapter/adapter_model.safetensors") for run in (stopped, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_loss_that_is_no_number_ends_both_processes_with_their_line_and_status(inputs: Path, tmp_path: Path) -> None:
    run = TinyRun(tmp_path / "run", inputs, {"peak_learning_rate": 1e30, "checkpoint_interval_steps": 1}, arm=ARM)
    output = ended(run, start(run), 2)
    assert "error: optimizer step 3: loss nan, " in output
    saved = sorted(path.name for path in (run.state / "checkpoints").glob("checkpoint-*"))
    assert saved == ["checkpoint-1", "checkpoint-2"]
