"""A room for hostile programs: bubblewrap without network, host files, privileges or time to waste.

A command sees `/usr` read-only, an empty `/work` in memory with the files it is given, and nothing else. Its outputs
go to files in memory, whose size the kernel limits: a flood ends the program, not the host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scripts.common.errors import UserError

WORK = "/work"
NOBODY = 65534
MERGED_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64")
# Statuses of a shell for SIGXFSZ (file size), SIGKILL and SIGXCPU (processor time).
FILE_SIZE_STATUS = 128 + signal.SIGXFSZ
CPU_STATUSES = (128 + signal.SIGKILL, 128 + signal.SIGXCPU)


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of one command: wall-clock seconds; address space of each process; size of each file, of the outputs too; how
    many processes (counted per sandbox from Linux 5.14 on, and never for root); and processor seconds of each process,
    without which the wall clock decides."""

    wall_clock_sec: float
    memory_bytes: int
    file_bytes: int
    processes: int = 64
    cpu_sec: float | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """How a command ended: `status` as a shell gives it, None if its time was up."""

    status: int | None
    output: str
    errors: str


@dataclasses.dataclass(frozen=True)
class Sandbox:
    """Runs commands behind `prefix` (bubblewrap and its options); without one, unprotected, in a scratch folder."""

    prefix: tuple[str, ...]

    def run(self, command: Sequence[str], files: Mapping[str, str], limits: Limits) -> Result:
        """Runs `command` in a fresh work folder that holds `files` (name: text)."""
        if self.prefix:
            with contextlib.ExitStack() as stack:
                inputs = {name: stack.enter_context(_memory_file(text)) for name, text in files.items()}
                options = [part for name, file in inputs.items() for part in ("--file", str(file), f"{WORK}/{name}")]
                wrapped = [*self.prefix, *options, *_limited(command, limits, isolated=True)]
                return _execute(wrapped, limits, None, tuple(inputs.values()))
        with tempfile.TemporaryDirectory(prefix="simulate-", ignore_cleanup_errors=True) as folder:
            for name, text in files.items():
                Path(folder, name).write_bytes(text.encode(errors="replace"))
            return _execute(_limited(command, limits, isolated=False), limits, folder, ())


def bubblewrap_prefix(tools: Sequence[Path], work_bytes: int) -> tuple[str, ...]:
    """bubblewrap's command line up to the command. `tools` are programs that must be found: one outside /usr brings the
    folder that it was installed into (`PREFIX/bin/TOOL` brings PREFIX). `work_bytes` limits the work folder."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise UserError("bwrap is not installed; on Debian or Ubuntu: apt-get install bubblewrap")
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    options += ["--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox", "--ro-bind", "/usr", "/usr"]
    for name in MERGED_FOLDERS:
        folder = Path("/", name)
        if folder.is_symlink():
            options += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            options += ["--ro-bind", str(folder), str(folder)]
    for home in sorted({str(tool.resolve().parent.parent) for tool in tools}):
        if not Path(home).is_relative_to("/usr"):
            options += ["--ro-bind", home, home]
    options += ["--size", str(work_bytes), "--tmpfs", WORK, "--remount-ro", "/", "--chdir", WORK]
    return (bubblewrap, *options)


def usable(sandbox: Sandbox, probe: Sequence[str]) -> str | None:
    """None if `probe`, a harmless command, succeeds in the sandbox, else the reason."""
    try:
        result = sandbox.run(probe, {}, Limits(30, 1 << 30, 1 << 20))
    except OSError as error:  # a program that nobody may start
        return str(error)
    if result.status == 0:
        return None
    return (result.errors.strip().splitlines() or [f"exit status {result.status}"])[-1]


def drop_privileges() -> None:
    """Root becomes nobody, for good; others stay who they are."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _limited(command: Sequence[str], limits: Limits, isolated: bool) -> list[str]:
    """`command` under the kernel's limits. Outside a user namespace the count of processes is the whole user's."""
    cpu_sec = limits.wall_clock_sec + 1 if limits.cpu_sec is None else limits.cpu_sec
    # The first limit is SIGXCPU, by which the end of a child can be told from a kill; the second is SIGKILL.
    cpu = f"--cpu={math.ceil(cpu_sec)}:{math.ceil(cpu_sec) + 2}"
    options = [f"--as={limits.memory_bytes}", cpu, f"--fsize={limits.file_bytes}"]
    if isolated:
        options.append(f"--nproc={limits.processes}")
    return ["prlimit", *options, "--core=0", "--", *command]


@contextlib.contextmanager
def _memory_file(text: str = "") -> Iterator[int]:
    """A file descriptor of a nameless file in memory that holds `text`, at its start."""
    descriptor = os.memfd_create("sandbox")
    try:
        data = text.encode(errors="replace")
        while data:
            data = data[os.write(descriptor, data) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _execute(command: Sequence[str], limits: Limits, folder: str | None, inputs: tuple[int, ...]) -> Result:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": folder or WORK}
    with _memory_file() as output, _memory_file() as errors:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=inputs,
            start_new_session=True,
        )
        try:
            status = _wait(process, limits.wall_clock_sec)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return Result(status, _content(output, limits.file_bytes), _content(errors, limits.file_bytes))


def _wait(process: subprocess.Popen[bytes], timeout_sec: float) -> int | None:
    """The status as a shell gives it, or None after `timeout_sec`. (Popen.wait would poll, up to 50 ms late.)"""
    handle = os.pidfd_open(process.pid)
    try:
        ended, _, _ = select.select([handle], [], [], timeout_sec)
    finally:
        os.close(handle)
    if not ended:
        return None
    status = process.wait()
    return status if status >= 0 else 128 - status


def _content(descriptor: int, limit_bytes: int) -> str:
    return os.pread(descriptor, limit_bytes, 0).decode(errors="replace")
