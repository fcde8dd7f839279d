"""What a machine must have before a training run is started on it, as pure judgements of what was found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True)
class Check:
    """One line: what was checked, whether it holds, what was found and what is needed."""

    name: str
    passed: bool
    found: str
    needed: str

    @property
    def line(self) -> str:
        return f"{'ok    ' if self.passed else 'FAILED'} {self.name}: {self.found} (needed: {self.needed})"


def python_check(version: tuple[int, int, int]) -> Check:
    """TPU machines ship with Python 3.10, which Tunix does not accept (paper, section 2.3)."""
    return Check("Python", version >= (3, 11), ".".join(map(str, version)), "3.11 or newer")


def device_count_check(kind: str, found: int, chips: int, hardware: str) -> Check:
    return Check("devices", found == chips, f"{found} {kind.upper()} device(s)", f"{chips}, as {hardware} has")


def device_kind_check(found: str, hardware: str) -> Check:
    """JAX's name of the device ("TPU v5", "TPU v5p", "TPU v6 lite") against the generation in the entry's name."""
    generation = re.search(r"v\d+[a-z]?", hardware)
    names = {"v5p": ("TPU v5", "TPU v5p"), "v6e": ("TPU v6 lite", "TPU v6e")}
    wanted = names.get(generation[0] if generation else "", ())
    return Check("device kind", found in wanted, found, " or ".join(wanted) or f"one that {hardware} is known by")


def space_check(name: str, path: str, free_bytes: float, needed_bytes: float) -> Check:
    return Check(
        name,
        free_bytes >= needed_bytes,
        f"{free_bytes / GB:.1f} GB free in {path}",
        f"{needed_bytes / GB:.1f} GB",
    )


def memory_check(available_bytes: float, needed_bytes: float) -> Check:
    """The host stages the whole checkpoint before it is spread over the chips."""
    return Check("memory", available_bytes >= needed_bytes, f"{available_bytes / GB:.1f} GB available",
                 f"{needed_bytes / GB:.1f} GB")  # fmt: skip


def credentials_check(source_is_local: bool, token_found: bool) -> Check:
    if source_is_local:
        return Check("credentials", True, "none", "none: the model is a local folder")
    return Check(
        "credentials",
        token_found,
        "a Hugging Face token" if token_found else "no Hugging Face token",
        "HF_TOKEN, or a token from `hf auth login`",
    )


def write_check(path: str, problem: str | None) -> Check:
    return Check("checkpoints", problem is None, problem or f"{path} can be written", f"write access to {path}")


def version_check(locked: Mapping[str, str], installed: Mapping[str, str | None]) -> Check:
    """Installed distributions against the lock; markers in the lock were judged by the caller."""
    wrong = [f"{name} {installed[name] or 'missing'}" for name, version in locked.items() if installed[name] != version]
    shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return Check("versions", not wrong, shown or f"{len(locked)} packages as locked", "those of envs/jax.txt")


def locked_versions(lock: str, names: tuple[str, ...]) -> dict[str, str]:
    """name -> version of the lines `name==version` of a lock, for the packages asked for."""
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock, re.MULTILINE))
    return {name: pins[name] for name in names if name in pins}
