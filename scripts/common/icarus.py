"""Icarus Verilog on hostile code: where it is, what a failed compilation means, and the processes that may run it."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Literal, TypeVar

from scripts.common.errors import UserError
from scripts.common.processes import die_with_parent
from scripts.common.sandbox import (
    CPU_STATUSES,
    FILE_SIZE_STATUS,
    Result,
    Sandbox,
    bubblewrap_prefix,
    drop_privileges,
    usable,
)

TOOLS = ("iverilog", "vvp")
LANGUAGE_FLAG = "-g2012"  # VerilogEval's
COMPILER_OUTPUT_BYTES = 32 << 20
WORK_FOLDER_BYTES = 256 << 20
OUT_OF_MEMORY = re.compile(r"bad_alloc|out of memory|memory exhausted|cannot allocate|length_error", re.IGNORECASE)
PROBE = ("iverilog", "-V")

Failure = Literal["timeout", "resource_limit", "compile_error"]
Key = TypeVar("Key")
Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """`timeout_sec` and `memory_bytes` for compiler and simulator each; `sandboxed`: only inside bubblewrap."""

    timeout_sec: float
    memory_bytes: int
    sandboxed: bool


@dataclasses.dataclass(frozen=True)
class Workers:
    """Processes without privileges, and the sandbox that works in them."""

    pool: ProcessPoolExecutor
    sandbox: Sandbox

    def run(
        self, function: Callable[[Task], Outcome], tasks: Iterable[tuple[Key, Task]]
    ) -> Iterator[tuple[Key, Outcome]]:
        """`function` of each task, with its key, in the order in which they are ready."""
        waiting = {self.pool.submit(function, task): key for key, task in tasks}
        for future in as_completed(waiting):
            yield waiting.pop(future), future.result()


def icarus_version(minimum: str | None = None) -> str:
    """Version of the installed Icarus Verilog, such as 11.0. Raises UserError for one below `minimum`."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise UserError(f"{tool} is not installed; on Debian or Ubuntu: apt-get install iverilog")
    listing = subprocess.run(["iverilog", "-V"], capture_output=True, text=True).stdout
    found = re.match(r"Icarus Verilog version (\S+)", listing)
    if found is None:
        raise UserError(
            f"iverilog -V does not name its version, but: {listing[:80]!r}; install Icarus Verilog 11 or later"
        )
    if minimum is not None and _numbers(found[1]) < _numbers(minimum):
        raise UserError(
            f"verilog.min_icarus: found Icarus Verilog {found[1]} on PATH, expected {minimum} or later; install that, "
            "or lower verilog.min_icarus (null for any)"
        )
    return found[1]


def _numbers(version: str) -> tuple[int, ...]:
    """`12.0` as (12, 0); trailing zeros do not count, so that 12 is 12.0."""
    return tuple(map(int, re.findall(r"\d+", re.sub(r"(\.0)+$", "", version))))


def icarus_tools() -> list[Path]:
    """The compiler and the simulator on PATH."""
    return [Path(path) for tool in TOOLS if (path := shutil.which(tool))]


def compiler_failure(result: Result) -> tuple[Failure, str]:
    """What became of a compilation whose status is not 0, and the line that says why."""
    if result.status is None or result.status in CPU_STATUSES or "CPU time limit exceeded" in result.errors:
        return "timeout", "the compiler did not end within its time"
    if OUT_OF_MEMORY.search(result.errors):
        return "resource_limit", "the compiler needed more memory than it may"
    if result.status == FILE_SIZE_STATUS or "File size limit exceeded" in result.errors:
        return "resource_limit", "the compiler wrote more than it may"
    return "compile_error", first_line(result.errors)


def first_line(text: str) -> str:
    """The first line that names an error, else the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if re.search(r"error|sorry", line)), lines[0] if lines else "no message")


@contextlib.contextmanager
def icarus_workers(sandboxed: bool, jobs: int) -> Iterator[Workers]:
    """`jobs` processes in which the sandbox works; root becomes nobody in them. All are started at once, while this
    process has no other threads. Raises UserError, with what to do, where no sandbox works.

    Some systems let only root make the namespaces; root then stays root outside them, and is nobody inside.
    """
    sandbox = Sandbox(bubblewrap_prefix(icarus_tools(), WORK_FOLDER_BYTES) if sandboxed else ())
    problem = None
    for unprivileged in (True, False) if sandboxed and os.geteuid() == 0 else (sandboxed,):
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(jobs, fork, _start, (unprivileged,)) as pool:
            problem = pool.submit(_probe, sandbox).result()
            if problem is None:
                try:
                    yield Workers(pool, sandbox)
                finally:
                    pool.shutdown(cancel_futures=True)
                return
    if not sandboxed:
        raise UserError(f"iverilog does not work here ({problem}); reinstall Icarus Verilog")
    raise UserError(
        f"bubblewrap does not work here ({problem}), and model-written code is not run without it; allow user "
        "namespaces (Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0; Docker: --privileged), or "
        "set verilog.unsafe_no_sandbox: true on a machine where nothing can be lost"
    )


def _start(unprivileged: bool) -> None:
    if unprivileged:
        drop_privileges()
    die_with_parent()  # a change of user would clear this


def _probe(sandbox: Sandbox) -> str | None:
    return usable(sandbox, PROBE)
