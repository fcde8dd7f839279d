"""A stand-in for the docker client and daemon, in the folder FAKE_DOCKER.

`run` notes its arguments, asks the daemon for a container and waits for it; as with docker, killing the client does
not stop the container. `rm --force NAME` does. `daemon` starts containers, which are fake servers, and ends with its
standard input.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_DOCKER"])
SERVER = Path(__file__).with_name("fake_server.py")


def run(arguments: list[str]) -> None:
    (FOLDER / "run.json").write_text(json.dumps(arguments))
    name = arguments[arguments.index("--name") + 1]
    if (FOLDER / f"{name}.pid").exists():
        sys.exit(f'docker: Error response from daemon: Conflict. The container name "/{name}" is already in use.')
    request = FOLDER / f"{name}.request"
    request.with_suffix(".partial").write_text(json.dumps(arguments[arguments.index("serve") :]))
    request.with_suffix(".partial").rename(request)
    while request.exists() or (FOLDER / f"{name}.pid").exists():
        time.sleep(0.02)


def remove(name: str) -> None:
    with open(FOLDER / "removed.txt", "a") as log:
        log.write(f"{name}\n")
    pid = FOLDER / f"{name}.pid"
    if not pid.exists():
        sys.exit(f"Error response from daemon: No such container: {name}")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    pid.unlink()


def daemon() -> None:
    containers: list[subprocess.Popen[bytes]] = []
    os.set_blocking(0, False)
    while sys.stdin.buffer.raw.read(1) is None:  # type: ignore[union-attr]
        for request in FOLDER.glob("*.request"):
            containers.append(subprocess.Popen([sys.executable, SERVER, *json.loads(request.read_text())]))
            (FOLDER / f"{request.stem}.pid").write_text(str(containers[-1].pid))
            request.unlink()
        for container in containers:
            container.poll()
        time.sleep(0.02)
    for container in containers:
        container.kill()


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2:])
    elif sys.argv[1:3] == ["rm", "--force"]:
        remove(sys.argv[3])
    elif sys.argv[1] == "daemon":
        daemon()
