"""A Tunix run may be killed or damaged at any moment: the same command goes on, and ends with the same adapter."""

import os
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from scripts.common.files import read_jsonl
from scripts.common.model_server import free_port
from scripts.train.bucket import Bucket
from tests.unit.buckets import gs_bucket, gs_environment
from tests.unit.train.tiny_run import TinyRun, make_inputs

EPOCHS = 10
STEPS = 40
TRAIN = {"epochs": EPOCHS, "checkpoint_interval_steps": 3}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def uninterrupted(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    run = TinyRun(tmp_path_factory.mktemp("uninterrupted"), inputs, TRAIN)
    run.finish()
    assert len(run.losses()) == STEPS
    return run


def assert_same(run: TinyRun, reference: TinyRun) -> None:
    """Losses and adapter, bit for bit."""
    assert run.losses() == reference.losses()
    ours, theirs = run.adapter(), reference.adapter()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def wait_for_step(run: TinyRun, process: Any, step: int) -> None:
    while run.metrics_so_far() < step and process.is_alive():
        time.sleep(0.002)


def test_killed_at_five_random_moments_the_run_ends_as_if_it_had_not_been(
    uninterrupted: TinyRun, tmp_path: Path
) -> None:
    """With dropout, in rows packed into one micro-batch a step or two. One kill comes while the run starts."""
    run = TinyRun(tmp_path, uninterrupted.inputs, TRAIN)
    moments = random.Random(5)
    for step in (0, *sorted(moments.sample(range(1, 30), 4))):
        process = run.start()
        wait_for_step(run, process, step)
        time.sleep(moments.uniform(0, 0.3 if step == 0 else 0.03))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    output = run.finish()
    assert f"{STEPS}/{STEPS}" in output
    assert "warning" not in output
    assert_same(run, uninterrupted)
    assert len(run.checkpoints()) == 2  # as many as are to be kept


def test_sigterm_saves_first_and_says_so(uninterrupted: TinyRun, tmp_path: Path) -> None:
    run = TinyRun(tmp_path, uninterrupted.inputs, TRAIN | {"checkpoint_interval_steps": 1000})
    process = run.start()
    wait_for_step(run, process, 4)
    process.terminate()
    process.join()
    assert process.exitcode == os.EX_TEMPFAIL
    assert not (tmp_path / "out").exists()
    saved = run.metrics_so_far()
    line = run.log.read_text().splitlines()[-1]
    progress = f"saved after optimizer step {saved} of {STEPS}"
    assert line == f"stopped: SIGTERM: {progress}; run the same command again to go on"
    assert len(run.checkpoints()) == 1
    assert f"{saved}/{STEPS}" in run.finish()
    assert_same(run, uninterrupted)


def test_sigterm_before_the_first_step_has_nothing_to_save(inputs: Path, tmp_path: Path) -> None:
    run = TinyRun(tmp_path, inputs, TRAIN)
    process = run.start()
    while not (tmp_path / "state").exists():
        time.sleep(0.002)
    process.terminate()
    process.join()
    assert process.exitcode == os.EX_TEMPFAIL
    assert "Traceback" not in run.log.read_text()
    assert run.log.read_text().splitlines()[-1].startswith("stopped: SIGTERM outside of the training steps")


def test_killed_a_run_goes_on_from_its_bucket_on_another_machine(uninterrupted: TinyRun, tmp_path: Path) -> None:
    """Nothing of its disk is left, as after a spot machine is lost."""
    with gs_bucket("runs") as url:
        run = TinyRun(tmp_path, uninterrupted.inputs, TRAIN | {"checkpoint_root": f"{url}/tests"})
        process = run.start(**gs_environment())
        wait_for_step(run, process, 10)  # the checkpoint of step 9 was begun, when that of step 6 had been copied
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        copies = Bucket(f"{url}/tests/{run.state.name}")
        copied = max(map(int, copies.complete_folders()))
        shutil.rmtree(tmp_path / "state")
        output = run.finish(**gs_environment())
        assert "warning" not in output
        first_shown = re.search(rf"(\d+)/{STEPS} \[", output)
        assert first_shown is not None
        assert int(first_shown[1]) >= 6
        assert_same(run, uninterrupted)
        assert sorted(map(int, copies.complete_folders())) == run.checkpoints()
        assert min(run.checkpoints()) > copied


def test_a_damaged_checkpoint_costs_a_warning_and_its_steps(uninterrupted: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted.folder / "state", tmp_path / "state")
    run = TinyRun(tmp_path, uninterrupted.inputs, TRAIN)
    newest = run.state / "checkpoints" / str(run.checkpoints()[-1])
    victim = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    output = run.finish()
    assert f"warning: checkpoint {newest}: " in output
    assert_same(run, uninterrupted)


def test_a_checkpoint_that_cannot_be_written_is_one_line(inputs: Path, tmp_path: Path) -> None:
    """A quota of 20 kB a file, which the arrays do not fit."""
    run = TinyRun(tmp_path, inputs, TRAIN)
    line = run.fail(2, TINY_RUN_FILE_LIMIT_BYTES="20000")
    assert re.search(r"checkpoint \d+ could not be written \(File too large.*\): mend that, then run the same", line)
    assert run.checkpoints() == []


def start_on_two_hosts(run: TinyRun) -> list[Any]:
    address = f"127.0.0.1:{free_port()}"
    return [
        run.start(JAX_COORDINATOR_ADDRESS=address, JAX_NUM_PROCESSES="2", JAX_PROCESS_ID=str(number))
        for number in range(2)
    ]


def test_two_processes_of_two_devices_train_like_one_of_four(inputs: Path, tmp_path: Path) -> None:
    """One of the two is asked to end on the way: both save and end, and both go on from the same checkpoint. Each
    measures a part of the held-out rows."""
    mesh = {"mesh": {"fsdp": 2, "tp": 2}}
    train = TRAIN | {"epochs": 4, "held_out_rows": 4}
    one = TinyRun(tmp_path / "one", inputs, train, mesh)
    one.finish()
    two = TinyRun(tmp_path / "two", inputs, train, mesh)
    processes = start_on_two_hosts(two)
    wait_for_step(two, processes[0], 4)
    processes[1].terminate()
    for process in processes:
        process.join(1200)
        assert process.exitcode == os.EX_TEMPFAIL, two.log.read_text()
    assert not (tmp_path / "two/out").exists()
    for process in start_on_two_hosts(two):
        process.join(1200)
        assert process.exitcode == 0, two.log.read_text()
    np.testing.assert_allclose(two.losses(), one.losses(), rtol=1e-5)
    assert two.held_out_losses() == pytest.approx(one.held_out_losses(), rel=1e-5)
    assert list(one.held_out_losses()) == [3, 6, 9, 12]
    ours, theirs = two.adapter(), one.adapter()
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4, err_msg=name)


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint_before(inputs: Path, tmp_path: Path) -> None:
    """The first step has rate 0, the second's blows the factors up. The same command meets the same again."""
    run = TinyRun(tmp_path, inputs, TRAIN | {"peak_learning_rate": 1e30, "checkpoint_interval_steps": 1})
    line = run.fail(2)
    assert line.startswith("error: optimizer step 3: loss nan, ")
    saved = run.checkpoints()
    assert len(saved) == 2
    newest = run.state / "checkpoints" / str(saved[-1])
    before = (newest / "manifest.json").read_bytes()
    assert run.fail(2) == line
    assert run.checkpoints() == saved
    assert (newest / "manifest.json").read_bytes() == before
    assert [row["step"] for row in read_jsonl(run.state / "metrics.jsonl")] == [1, 2]
    assert not (tmp_path / "out").exists()
