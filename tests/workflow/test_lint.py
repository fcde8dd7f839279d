"""Snakemake's own linter has nothing to say but what this project decides otherwise."""

from pathlib import Path

from tests.workflow_project import copy_project, snakemake

# Environments are built from locks by envs/launch.py, in place of conda (docs/decisions.md).
DECIDED_OTHERWISE = {"Specify a conda environment or container for each rule.:"}


def test_snakemake_lint_is_clean(tmp_path: Path) -> None:
    result = snakemake(copy_project(tmp_path), "--lint")
    complaints = {
        line.strip().removeprefix("* ")
        for line in (result.stdout + result.stderr).splitlines()
        if line.strip().startswith("* ")
    }
    assert complaints == DECIDED_OTHERWISE
