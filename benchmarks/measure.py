"""A command's seconds and peak memory."""

from __future__ import annotations

import resource
import subprocess
import time
from dataclasses import dataclass

import psutil

SAMPLE_SEC = 0.1


@dataclass(frozen=True)
class Measured:
    """Wall-clock of a command from start to end, processor time (user and system) of it and its processes, and the most
    memory that they had together. On a busy machine the processor time says more."""

    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


def measure(command: list[str]) -> Measured:
    """Runs `command`. Ends this process when the command fails."""
    started, cpu_started = time.perf_counter(), children_cpu_seconds()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_bytes(process.pid))
        time.sleep(SAMPLE_SEC)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ended with status {process.returncode}")
    return Measured(seconds, children_cpu_seconds() - cpu_started, peak)


def children_cpu_seconds() -> float:
    """Processor time of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process and its descendants: shared pages are counted once."""
    try:
        parent = psutil.Process(pid)
        return sum(process.memory_full_info().pss for process in [parent, *parent.children(recursive=True)])
    except psutil.Error:  # ended meanwhile
        return 0
