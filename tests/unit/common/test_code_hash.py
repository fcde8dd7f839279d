"""A comment never makes a step stale; a changed formula always does, however deep the import."""

from pathlib import Path

import pytest

from scripts.common.code_hash import code_hash, local_modules


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    (tmp_path / "pkg/entry.py").write_text("from pkg import middle\nimport json\n\nprint(middle.f(1))\n")
    (tmp_path / "pkg/middle.py").write_text("def f(x):\n    from .deep import g\n    return g(x)\n")
    (tmp_path / "pkg/deep.py").write_text('def g(x):\n    """Doubles."""\n    return 2 * x\n')
    (tmp_path / "pkg/unused.py").write_text("x = 1\n")
    return tmp_path


def test_follows_local_imports_wherever_they_stand(tree: Path) -> None:
    assert local_modules("pkg.entry", tree) == {"pkg", "pkg.entry", "pkg.middle", "pkg.deep"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("deep.py", 'def g(x):\n    """Twice x."""\n    # why not\n    return 2 * x\n'),
        ("deep.py", 'def g(x):\n\n\n    """Doubles."""\n    return (2 * x)\n'),
        ("unused.py", "x = 2\n"),
    ],
)
def test_comments_docstrings_layout_and_other_modules_do_not_count(tree: Path, file: str, text: str) -> None:
    before = code_hash("pkg.entry", tree)
    (tree / "pkg" / file).write_text(text)
    assert code_hash("pkg.entry", tree) == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("deep.py", 'def g(x):\n    """Doubles."""\n    return 3 * x\n'),
        ("entry.py", "from pkg import middle\nimport json\n\nprint(middle.f(2))\n"),
        ("__init__.py", "flag = True\n"),
    ],
)
def test_a_changed_formula_counts(tree: Path, file: str, text: str) -> None:
    before = code_hash("pkg.entry", tree)
    (tree / "pkg" / file).write_text(text)
    assert code_hash("pkg.entry", tree) != before


def test_an_unknown_module_is_an_error(tree: Path) -> None:
    with pytest.raises(ValueError, match=r"pkg\.nowhere"):
        code_hash("pkg.nowhere", tree)
