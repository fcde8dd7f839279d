"""Runs a server command for a job and makes sure that nothing of it outlives the job.

    python -S server_supervisor.py PARENT_PID GRACE_SEC CLEANUP_JSON COMMAND [ARG ...]

The job starts this program, this program starts COMMAND and waits. When the job ends, however it ends (SIGKILL runs no
handler there, and would leave vLLM's engine processes behind), or sends SIGTERM, or COMMAND exits, all processes that
descend from COMMAND get SIGTERM, and SIGKILL after GRACE_SEC. CLEANUP_JSON is a command (a list, possibly empty) that
is run last: a container outlives its `docker run`, and is removed by it. Exits with COMMAND's status.

Standard library only, and no import of the project: it must start at once and need nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_SEC = 0.1
CLEANUP_TIMEOUT_SEC = 60


def prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def descendants(ancestor: int) -> list[int]:
    """Process ids of all descendants of `ancestor`, whatever their process group or session.

    Ended ones count until they are collected: a process may look so while some of its threads still run.
    """
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # A process may vanish between the listing and the reading.
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything; the state and the parent follow the last one.
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def stop_all(grace_sec: float) -> None:
    """Ends every descendant of this process: SIGTERM, then SIGKILL to whatever lives after `grace_sec`."""
    signal_all(descendants(os.getpid()), signal.SIGTERM)
    deadline = time.monotonic() + grace_sec
    while alive := descendants(os.getpid()):
        if time.monotonic() > deadline:
            signal_all(alive, signal.SIGKILL)
        reap()
        time.sleep(POLL_SEC / 2)


def reap() -> dict[int, int]:
    """Collects ended children, adopted ones too: exit status (negative signal number) by process id."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended


def supervise(parent: int, grace_sec: float, cleanup: list[str], command: list[str]) -> int:
    """Runs `command` until it exits, `parent` is gone or SIGTERM comes; returns its status, 0 if it was stopped."""
    asked_to_stop = False

    def ask_to_stop(number: int, frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    signal.signal(signal.SIGTERM, ask_to_stop)
    # A terminal's Ctrl-C is the job's to handle; it then stops this process in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Engine processes whose own parent died become children of this one, and are found.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    status = None
    # vLLM leaves its sockets behind when it is killed, and often when it is not.
    with tempfile.TemporaryDirectory(prefix="vllm-", ignore_cleanup_errors=True) as scratch:
        environment = {**os.environ, "TMPDIR": scratch}
        server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, preexec_fn=prepare_server)
        try:
            while status is None and not asked_to_stop and os.getppid() == parent:
                status = reap().get(server.pid)
                time.sleep(POLL_SEC)
            stop_all(grace_sec)
        finally:
            clean_up(cleanup)
    return status if status is not None else 0


def clean_up(command: list[str]) -> None:
    if command:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            quiet = subprocess.DEVNULL
            subprocess.run(command, stdout=quiet, stderr=quiet, timeout=CLEANUP_TIMEOUT_SEC)


def prepare_server() -> None:
    """In the server's process, before its program: dies with the supervisor, should that be killed itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    parent, grace_sec, cleanup, *command = sys.argv[1:]
    status = supervise(int(parent), float(grace_sec), json.loads(cleanup), command)
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
