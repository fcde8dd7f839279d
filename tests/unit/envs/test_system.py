"""What the system must have is installed where that is permitted; else one line says what to install."""

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with a shell's bare needs: no iverilog, no bwrap, no apt-get, no sudo."""
    for tool in ("sh", "id", "python3"):
        found = shutil.which(tool)
        assert found
        (tmp_path / tool).symlink_to(Path(found).resolve())
    return tmp_path


def run(path: Path) -> subprocess.CompletedProcess[str]:
    script = str(Path("envs/system.sh").resolve())
    return subprocess.run(["sh", script], env={"PATH": str(path)}, capture_output=True, text=True)


def provide(folder: Path, *tools: str) -> None:
    for tool in tools:
        (folder / tool).write_text("#!/bin/sh\n")
        (folder / tool).chmod(0o755)


def test_missing_packages_that_cannot_be_installed_are_named_in_one_line(bare_path: Path) -> None:
    result = run(bare_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("set-up: please install: iverilog bubblewrap")


def test_only_what_is_missing_is_named(bare_path: Path) -> None:
    provide(bare_path, "iverilog")
    result = run(bare_path)
    assert "please install: bubblewrap" in result.stderr.replace("  ", " ")


def test_nothing_is_said_when_nothing_is_missing(bare_path: Path) -> None:
    provide(bare_path, "iverilog", "bwrap")
    result = run(bare_path)
    assert (result.returncode, result.stderr) == (0, "")
