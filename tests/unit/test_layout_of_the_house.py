"""The rules of the house that a reader relies on."""

import ast
from pathlib import Path

import pytest

STAGES = sorted(path.name for path in Path("scripts").iterdir() if (path / "__init__.py").is_file())
MODULES = sorted(Path("scripts").rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_stage_imports_from_common_and_itself_only(path: Path) -> None:
    stage = path.parts[1]
    for name in imported_modules(path):
        if name.startswith("scripts.") and stage in STAGES:
            assert name.split(".")[1] in {"common", stage}, f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_rules_keep_to_the_directives_that_rerun_rightly() -> None:
    for path in [Path("Snakefile"), *Path("rules").glob("*.smk")]:
        text = path.read_text()
        for banned in ("script:", "run:", "ancient(", "directory(", "service("):
            assert not any(line.strip().startswith(banned) for line in text.splitlines()), f"{path}: {banned}"


def test_every_lock_has_its_source() -> None:
    locks = {path.stem for path in Path("envs").glob("*.txt")} - {"uv"}
    assert locks == {path.stem for path in Path("envs").glob("*.in")}
