"""A run's state is found again by what decides its result, and by nothing else; one process at a time uses it."""

import json
import multiprocessing
import multiprocessing.synchronize
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.common.files import write_manifest
from scripts.train.checkpoints import Checkpoint
from scripts.train.run_state import open_run_state, restore_metrics, run_key, scratch_state, state_folder
from tests.unit.train.test_record import TRAIN

SETTINGS: dict[str, Any] = {
    "train": {"seed": 0, "epochs": 1, "lora": {"rank": 8}, "checkpoint_interval_steps": 100, "checkpoints_kept": 3,
              "checkpoint_root": None},
    "mesh": {"fsdp": 1, "tp": 4},
}  # fmt: skip


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("weights")
    (tmp_path / "tokens").write_text("tokens")
    return {"base_model": write_manifest(tmp_path / "model"), "tokens": tmp_path / "tokens"}


def key(inputs: dict[str, Path], settings: dict[str, Any] = SETTINGS, packages: tuple[str, ...] = ()) -> str:
    return run_key("scripts.train.train_tunix", json.dumps(settings), **inputs, packages=packages)


def changed(path: str, value: Any) -> dict[str, Any]:
    settings = json.loads(json.dumps(SETTINGS))
    *parents, last = path.split(".")
    part = settings
    for name in parents:
        part = part[name]
    part[last] = value
    return settings


@pytest.mark.parametrize(
    ("setting", "value"),
    [("train.seed", 1), ("train.epochs", 2), ("train.lora.rank", 16), ("mesh.tp", 2), ("train.held_out_rows", 8)],
)
def test_a_changed_setting_is_another_run(inputs: dict[str, Path], setting: str, value: Any) -> None:
    assert key(inputs, changed(setting, value)) != key(inputs)


def test_other_data_weights_or_packages_are_another_run(inputs: dict[str, Path], tmp_path: Path) -> None:
    first = key(inputs)
    assert key(inputs, packages=("pytest",)) != first
    inputs["tokens"].write_text("other tokens")
    second = key(inputs)
    (tmp_path / "model/weights").write_text("changed")
    write_manifest(tmp_path / "model")
    assert len({first, second, key(inputs)}) == 3


@pytest.mark.parametrize(
    ("setting", "value"), [("checkpoint_interval_steps", 10), ("checkpoints_kept", 1), ("checkpoint_root", "/mnt")]
)
def test_where_and_how_often_state_is_saved_is_not(inputs: dict[str, Path], setting: str, value: Any) -> None:
    assert key(inputs, changed(f"train.{setting}", value)) == key(inputs)


def test_state_lies_below_a_local_root_and_beside_a_bucket(tmp_path: Path) -> None:
    root = tmp_path / "big disk"
    assert state_folder(tmp_path, "abc", TRAIN) == tmp_path / "abc"
    assert state_folder(tmp_path, "abc", replace(TRAIN, checkpoint_root=str(root))) == root / "abc"
    assert state_folder(tmp_path, "abc", replace(TRAIN, checkpoint_root="gs://bucket/path")) == tmp_path / "abc"


def test_metrics_go_back_to_the_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    (tmp_path / "3/metrics.jsonl").write_text('{"step": 1}\n')
    with scratch_state() as state:
        (state.folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
        restore_metrics(state, Checkpoint(3, tmp_path / "3"))
        assert (state.folder / "metrics.jsonl").read_text() == '{"step": 1}\n'
        restore_metrics(state, None)
        assert not (state.folder / "metrics.jsonl").exists()


def hold(state_dir: Path, held: multiprocessing.synchronize.Event, release: multiprocessing.synchronize.Event) -> None:
    with open_run_state(state_dir, "abc", TRAIN):
        held.set()
        release.wait(60)


def test_a_second_process_waits_for_the_first_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, release = multiprocessing.Event(), multiprocessing.Event()
    first = multiprocessing.Process(target=hold, args=(tmp_path, held, release))
    first.start()
    assert held.wait(60)
    with monkeypatch.context() as patch:

        def print_and_release(line: str, **options: Any) -> None:
            print(line, **options)
            release.set()

        patch.setattr("scripts.common.files.print", print_and_release, raising=False)
        with open_run_state(tmp_path, "abc", TRAIN) as state:
            first.join(60)
            assert first.exitcode == 0
            assert state.store is not None
    assert f"process {first.pid} is at work on this; waiting for it to end" in capsys.readouterr().err
