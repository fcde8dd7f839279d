"""Snakemake as its users call it, in a working copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copy_project(target: Path) -> Path:
    """The project's files, tracked or new, with its environments linked in."""
    listing = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venvs").symlink_to(ROOT / ".venvs")
    return target


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Snakemake in the driver environment; the caller judges its exit status."""
    command = [sys.executable, "envs/launch.py", "driver", "snakemake", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def planned_rules(dry_run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Rule -> number of jobs, from the statistics of a dry run that succeeded; empty when there is nothing to do."""
    text = dry_run.stdout + dry_run.stderr
    assert dry_run.returncode == 0, text[-3000:]
    if "Nothing to be done" in text:
        return {}
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", text, re.DOTALL | re.MULTILINE)
    assert table, text[-3000:]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table[1], re.MULTILINE) if name != "all"}
