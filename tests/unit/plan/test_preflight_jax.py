"""What is checked before a training run, and that each check can fail."""

import json
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from scripts.plan import checks, preflight


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (checks.python_check((3, 11, 0)), checks.python_check((3, 10, 12))),
        (checks.device_count_check("tpu", 4, 4, "tpu-v5p-8"), checks.device_count_check("tpu", 8, 4, "tpu-v5p-8")),
        (checks.device_kind_check("TPU v5", "tpu-v5p-8"), checks.device_kind_check("TPU v6 lite", "tpu-v5p-8")),
        (checks.memory_check(70e9, 62.5e9), checks.memory_check(60e9, 62.5e9)),
        (checks.space_check("TMPDIR", "/dev/shm", 355e9, 62.5e9), checks.space_check("TMPDIR", "/tmp", 50e9, 62.5e9)),
        (checks.credentials_check(True, False), checks.credentials_check(False, False)),
        (checks.write_check("state", None), checks.write_check("state", "state: Permission denied")),
        (checks.version_check({"jax": "1"}, {"jax": "1"}), checks.version_check({"jax": "1"}, {"jax": None})),
    ],
)
def test_each_check_passes_and_fails(good: checks.Check, bad: checks.Check) -> None:
    assert good.passed
    assert good.line.startswith("ok ")
    assert not bad.passed
    assert bad.line.startswith("FAILED")
    assert "\n" not in good.line + bad.line


def test_versions_are_read_from_the_lock() -> None:
    lock = Path("envs/jax.txt").read_text()
    locked = checks.locked_versions(lock, preflight.PACKAGES)
    assert set(locked) >= {"jax", "libtpu", "google-tunix"}
    assert locked["google-tunix"] == "0.1.7"


def test_a_folder_or_bucket_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    assert preflight.write_problem(str(tmp_path / "not" / "yet")) is None
    assert preflight.write_problem("memory://bucket/run") is None
    assert list(tmp_path.iterdir()) == []
    assert fsspec.filesystem("memory").find("/bucket") == []


def test_a_bucket_that_refuses_and_a_driver_that_is_not_there_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("403, access denied\n{'details': ...}")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    assert preflight.write_problem("memory://bucket") == "memory://bucket: PermissionError 403, access denied"
    said = preflight.write_problem("nowhere://bucket")
    assert said is not None
    assert said.startswith("nowhere://bucket: ValueError")


def test_a_folder_that_cannot_be_written_is_named() -> None:
    assert preflight.write_problem("/proc/1/checkpoints") is not None


def test_staging_on_the_models_own_disk_needs_room_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=100e9))
    monkeypatch.setattr(preflight.tempfile, "gettempdir", lambda: str(tmp_path))
    settings = preflight.PreflightSettings("cpu", "laptop", "cpu", 1, str(tmp_path), 62.5, str(tmp_path / "state"))
    found = {check.name: check for check in preflight.all_checks(settings, "")}
    assert found["disk"].passed
    assert not found["TMPDIR"].passed
    assert found["TMPDIR"].needed == "125.0 GB"


def test_the_arms_missing_accelerator_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "count_devices", lambda kind: 0)
    settings = {"arm": "tpu", "hardware": "tpu-v5p-8", "hardware_kind": "tpu", "chips": 4, "model_gb": 0.001,
                "model_source": str(tmp_path), "checkpoints": str(tmp_path / "state")}  # fmt: skip
    (tmp_path / "lock.txt").write_text("jsonschema==0\n")
    with pytest.raises(SystemExit) as stopped:
        preflight.main(["--settings", json.dumps(settings), "--lock", str(tmp_path / "lock.txt")])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "FAILED devices: 0 TPU device(s) (needed: 4, as tpu-v5p-8 has)" in said.out
    assert said.out.count("\n") == 8
    assert said.err == "error: the arm tpu cannot be trained here yet: devices\n"
