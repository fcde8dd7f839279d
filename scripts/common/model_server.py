"""A vLLM server as a context manager inside one job: up and healthy within, gone after, however the job ends.

    with model_server(settings, model_manifest, log_path) as server:
        requests.post(f"{server.base_url}/chat/completions", json={"model": server.model_name, ...})

The server's own output goes to `log_path`. Needs neither torch nor vLLM in the calling process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from scripts.common import server_supervisor
from scripts.common.devices import count_devices
from scripts.common.errors import UserError
from scripts.common.files import read_json, read_manifest
from scripts.common.server_settings import ServerSettings
from scripts.common.vllm_commands import Launch, container_name, launch

POLL_SEC = 0.2
STOP_GRACE_SEC = 10.0
# Of a log in an error message.
LOG_LINES = 5
ERROR_LINE = re.compile(r"(\w+\.)*\w*(Error|Exception)\b.*:|(usage|docker|error):")
STACK_LINE = re.compile(r"File \"|Traceback|\^|~|Process |.*warnings\.warn\(")


@dataclasses.dataclass(frozen=True)
class Server:
    """A healthy server: `base_url` ends in /v1, `startup_sec` is from the command's start to the first healthy answer,
    `supervisor_pid` the process whose end takes all of the server's with it."""

    base_url: str
    model_name: str
    startup_sec: float
    command: tuple[str, ...]
    supervisor_pid: int
    vllm_version: str | None


@contextlib.contextmanager
def model_server(settings: ServerSettings, model_manifest: Path, log_path: Path) -> Iterator[Server]:
    """Serves the model in the folder of `model_manifest`, and yields once the server answers.

    Raises UserError when a device, docker or the model is missing, when the server exits before it answers (with its
    last words) and when it does not answer within `startup_timeout_sec`.
    """
    read_manifest(model_manifest)
    folder = model_manifest.parent
    check_machine(settings)
    port = free_port()
    plan = launch(settings, folder, read_json(folder / "config.json"), port, container_name(log_path))
    if plan.cleanup:
        remove_leftover(plan.cleanup)
    bypass_proxy()
    log_path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(log_path, "wb") as log:
        process = start_supervised(plan, log.fileno())
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(url, process, started + settings.startup_timeout_sec, log_path)
        startup_sec = time.monotonic() - started
        check_model(url, plan.model_name)
        yield Server(f"{url}/v1", plan.model_name, startup_sec, plan.command, process.pid, vllm_version(url))
    finally:
        stop(process)


def check_machine(settings: ServerSettings, dev: Path = Path("/dev")) -> None:
    """Cheap checks before minutes of starting: is there docker, the accelerator, and a vLLM built for it?"""
    if settings.backend == "docker":
        if shutil.which("docker") is None:
            raise UserError(
                f"backend docker: no docker on PATH, and the image {settings.image} needs it; "
                "install it (https://docs.docker.com/engine/install/) or run this stage where it is"
            )
        return
    if shutil.which("vllm") is None:
        raise UserError("backend native: no vllm on PATH; run this step through: python envs/launch.py torch ...")
    if settings.hardware_kind == "cpu":
        return
    kind = settings.hardware_kind
    if count_devices(kind, dev) == 0:
        raise UserError(
            f"hardware kind {kind}: this machine has none; "
            f"run this stage on a machine with a {kind.upper()}, or let the arm serve on hardware of kind cpu"
        )
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        if "cpu" in (version := importlib.metadata.version("vllm")):
            raise UserError(
                f"backend native on hardware kind {kind}: the installed vLLM {version} is built for CPUs; "
                "set the arm's serve.backend to docker and name an image"
            )


def free_port() -> int:
    """A port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def remove_leftover(cleanup: tuple[str, ...]) -> None:
    """Removes the container of an earlier, killed run of the same job, if there is one."""
    result = subprocess.run(cleanup, capture_output=True, text=True)
    if result.returncode and "no such container" not in result.stderr.lower():
        raise UserError(
            f"backend docker: {' '.join(cleanup)} failed (exit {result.returncode}): {result.stderr.strip()}; "
            "docker must be running, and this user allowed to use it"
        )


def start_supervised(plan: Launch, log: int) -> subprocess.Popen[bytes]:
    """Starts the supervisor with the server below it, in a session of their own, writing to the descriptor `log`."""
    command = [
        sys.executable, "-S", server_supervisor.__file__,
        str(os.getpid()), str(STOP_GRACE_SEC), json.dumps(plan.cleanup), *plan.command,
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        env={**os.environ, **plan.environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], deadline: float, log_path: Path) -> None:
    while process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/health", timeout=2).status_code == 200:
                return
        if time.monotonic() > deadline:
            raise UserError(
                f"the server did not answer within startup_timeout_sec; raise it, or see {log_path}; "
                f"{last_words(log_path)}"
            )
        time.sleep(POLL_SEC)
    raise UserError(f"the server exited with status {process.returncode} before it answered; {last_words(log_path)}")


def check_model(url: str, model_name: str) -> None:
    """Is it our server that answers? Another one may have taken the port first."""
    listing = requests.get(f"{url}/v1/models", timeout=10).json()
    names = [entry["id"] for entry in listing["data"]]
    if model_name not in names:
        raise UserError(
            f"{url} serves {', '.join(names)} instead of {model_name}: another server has the port; run again"
        )


def vllm_version(url: str) -> str | None:
    """The server's own answer, so that a container's version is known too; None where it has none."""
    response = requests.get(f"{url}/version", timeout=10)
    return response.json().get("version") if response.ok else None


def last_words(log_path: Path) -> str:
    """The end of a server's log as one line for an error message: its errors and what follows the last of them, or its
    last lines where it names none."""
    with open(log_path, errors="replace") as log:
        # vLLM's prefix: "(EngineCore pid=7) ERROR 07-12 10:11:12 [core.py:842] ".
        lines = [re.sub(r"^(\(\w+ pid=\d+\) )?([A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\] ?)?", "", line).strip() for line in log]
    lines = [line for line in lines if line and not STACK_LINE.match(line)]
    errors = [index for index, line in enumerate(lines) if ERROR_LINE.match(line)]
    shown = [lines[index] for index in errors[-LOG_LINES:]] + lines[errors[-1] + 1 :][:LOG_LINES] if errors else lines
    unique = list(dict.fromkeys(shown))[-LOG_LINES:]
    return f"{log_path} ends: {' | '.join(unique)}" if unique else f"{log_path} is empty"


def bypass_proxy() -> None:
    """Keeps this job's clients, whichever library they use, from asking a configured HTTP proxy for the loopback."""
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the server through its supervisor. One that hangs, or was killed, leaves the process group to this."""
    process.terminate()
    try:
        process.wait(STOP_GRACE_SEC + server_supervisor.CLEANUP_TIMEOUT_SEC + 5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode < 0:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
