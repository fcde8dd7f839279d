"""The archive step: which files it takes, and what it refuses."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from scripts.archive import archive, resolved_config, verify
from tests.unit import synthetic_run


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run below a checkout that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return synthetic_run.write_run(Path("results/pretend"), seeds=(0,))


def test_files_keep_their_places_beside_the_commit_and_the_sums(run_dir: Path) -> None:
    output = run_dir / "archive.tar.gz"
    files = ["results/pretend/scores/gpu/seed0.json", "results/pretend/bench/gpu.json"]
    archive.main(["--files", *files, *files, "--output", str(output)])
    with tarfile.open(output) as found:
        assert sorted(found.getnames()) == sorted([*files, "COMMIT", "SHA256SUMS"])


def test_the_result_verifies(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run_dir / "archive.tar.gz"
    archive.main(["--files", str(run_dir / "bench/gpu.json"), "--output", str(output)])
    capsys.readouterr()
    verify.main([str(output)])
    assert capsys.readouterr().out == f"{output}: 2 files are as they were packed\n"


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside", "results/pretend/gone.json"])
def test_a_file_outside_or_missing_is_named(run_dir: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    with pytest.raises(SystemExit) as exit_status:
        archive.main(["--files", path, "--output", "a.tar.gz"])
    assert exit_status.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: ")


def test_the_resolved_configuration_is_kept_as_it_is(tmp_path: Path) -> None:
    config = {"run": "pretend", "seeds": [0], "model": {"revision": None}}
    resolved_config.main(["--settings", json.dumps(config), "--output", str(tmp_path / "config.json")])
    assert json.loads((tmp_path / "config.json").read_text()) == config
