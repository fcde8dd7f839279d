"""The hash of a step's code, so that a comment never retrains a model and a changed formula always does.

Covered: the syntax trees, without comments, docstrings and positions, of the step's module and of every local module
that it imports, directly or not, wherever the import stands.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def code_hash(module: str, root: Path = ROOT) -> str:
    """First 16 hex digits of the sha256 over the syntax trees of `module`, dotted, and its local imports."""
    digest = hashlib.sha256()
    for name in sorted(local_modules(module, root)):
        digest.update(f"{name}\0{_syntax(_source(name, root))}\0".encode())
    return digest.hexdigest()[:16]


def local_modules(module: str, root: Path = ROOT) -> set[str]:
    """`module` and every module below `root` that it imports, directly or not."""
    if _source(module, root) is None:
        raise ValueError(f"no module {module} below {root}")
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        source = _source(name, root)
        if name in found or source is None:
            continue
        found.add(name)
        waiting.extend(_imports(source, name))
    return found


def _source(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(source: Path, name: str) -> list[str]:
    """Dotted names that `source` may import: of `from a import b`, both `a` and `a.b`; parents run too."""
    names: list[str] = []
    package = name if source.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*anchor, *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [".".join(parts[: i + 1]) for parts in (n.split(".") for n in names) for i in range(len(parts))]


def _syntax(source: Path | None) -> str:
    assert source is not None
    return _syntax_of(source, source.stat().st_mtime_ns)


@functools.cache
def _syntax_of(source: Path, mtime_ns: int) -> str:
    """The dumped tree of one file without its docstrings; `mtime_ns` keys the cache."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
