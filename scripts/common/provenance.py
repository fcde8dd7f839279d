"""Where a number comes from: the settings, code, commit, versions and machine that a result file carries."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from scripts.common.code_hash import code_hash
from scripts.common.files import fingerprint

ROOT = Path(__file__).resolve().parents[2]


def provenance(module: str, settings: Any, packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """The provenance block of a result file.

    `module` is the entry script's dotted name, `settings` the JSON-ready settings it ran with, `packages` the
    distributions whose version matters to the numbers.
    """
    return {
        "module": module,
        "code_sha256": code_hash(module),
        "settings_sha256": fingerprint(settings),
        "settings": settings,
        "commit": git_commit(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "host": {
            "system": platform.platform(),
            "processor": processor_name(),
            "cpu_count": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        },
    }


def git_commit() -> str | None:
    """The commit of the checkout, with `-dirty` when tracked files differ from it; None outside a checkout."""
    result = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        capture_output=True,
        text=True,
    )
    return result.stdout.strip() or None


def processor_name() -> str:
    """The processor's model as Linux names it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
