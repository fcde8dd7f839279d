"""Processes that judge candidates, without privileges, and end when this one does."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from scripts.common.errors import UserError
from scripts.common.processes import die_with_parent
from scripts.verilog.bench import HiddenBench
from scripts.verilog.icarus import Expectation, Harness, Judgement, icarus_tools
from scripts.verilog.sandbox import Sandbox, bubblewrap_prefix, drop_privileges, usable

WORK_FOLDER_BYTES = 256 << 20
PROBE = ("iverilog", "-V")
Key = TypeVar("Key")

# Set once in each worker process, by its initializer.
_harness: Harness | None = None


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """`timeout_sec` and `memory_bytes` for compiler and simulator each; `sandboxed`: only inside bubblewrap."""

    timeout_sec: float
    memory_bytes: int
    sandboxed: bool


@dataclasses.dataclass(frozen=True)
class Task:
    """A candidate to judge; without an expectation it is a reference."""

    code: str
    bench: HiddenBench
    expected: Expectation | None


@contextlib.contextmanager
def worker_pool(settings: WorkerSettings, jobs: int) -> Iterator[ProcessPoolExecutor]:
    """`jobs` processes in which the sandbox works; root becomes nobody in them. All are started at once, while this
    process has no other threads. Raises UserError, with what to do, where no sandbox works.

    Some systems let only root make the namespaces; root then stays root outside them, and is nobody inside.
    """
    prefix = bubblewrap_prefix(icarus_tools(), WORK_FOLDER_BYTES) if settings.sandboxed else ()
    harness = Harness(Sandbox(prefix), settings.timeout_sec, settings.memory_bytes)
    problem = None
    for unprivileged in (True, False) if settings.sandboxed and os.geteuid() == 0 else (settings.sandboxed,):
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(jobs, fork, _start, (harness, unprivileged)) as pool:
            problem = pool.submit(_probe).result()
            if problem is None:
                try:
                    yield pool
                finally:
                    pool.shutdown(cancel_futures=True)
                return
    if not settings.sandboxed:
        raise UserError(f"iverilog does not work here ({problem}); reinstall Icarus Verilog")
    raise UserError(
        f"bubblewrap does not work here ({problem}), and model-written code is not run without it; allow user "
        "namespaces (Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0; Docker: --privileged), or "
        "set verilog.unsafe_no_sandbox: true on a machine where nothing can be lost"
    )


def judge_all(tasks: Iterable[tuple[Key, Task]], pool: ProcessPoolExecutor) -> Iterator[tuple[Key, Judgement]]:
    """The judgement on each task, with its key, in the order in which they are ready."""
    waiting = {pool.submit(_judge, task): key for key, task in tasks}
    for future in as_completed(waiting):
        yield waiting.pop(future), future.result()


def _start(harness: Harness, unprivileged: bool) -> None:
    global _harness
    if unprivileged:
        drop_privileges()
    die_with_parent()  # a change of user would clear this
    _harness = harness


def _probe() -> str | None:
    assert _harness is not None
    return usable(_harness.sandbox, PROBE)


def _judge(task: Task) -> Judgement:
    assert _harness is not None
    judgement = _harness.judge(task.code, task.bench, task.expected)
    # The program's text is large and of no use to the caller.
    compiled = judgement.compiled and dataclasses.replace(judgement.compiled, program="")
    return dataclasses.replace(judgement, compiled=compiled)
