"""A hub on loopback: as much of the Hugging Face hub's HTTP as `huggingface_hub` uses for fetching, and its faults.

Large files are redirected to another host, as the hub does to its CDN: `localhost`, where the hub is `127.0.0.1`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "hf_good"


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def wait_until(condition: Callable[[], bool], timeout_sec: float = 60) -> None:
    deadline = time.monotonic() + timeout_sec
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


@dataclass
class Repo:
    """A repository: `files` at `commit`; those named in `large` are kept as the hub keeps LFS files."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    large: frozenset[str] = frozenset()
    licence: str | None = "apache-2.0"
    gated: bool = False
    refs: tuple[str, ...] = ("main", "v1")


@dataclass
class Fault:
    """What goes wrong, `times` times, with requests of `method` whose path contains `path`.

    One of: `status` (with `headers`); `drop_after` bytes, politely, or with a reset when `reset_when` is true (a reset
    takes away what the client has not read yet); `stall_after` bytes, until the client is gone; `content` in place of
    the file's; `promised_bytes` in place of the file's size, or none with -1.
    """

    method: str
    path: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    reset_when: Callable[[], bool] | None = None
    stall_after: int | None = None
    content: bytes | None = None
    promised_bytes: int | None = None


@dataclass
class Request:
    """A request as the hub saw it."""

    method: str
    path: str
    range: str | None
    authorization: str | None


class FakeHub:
    """The server's state: what it holds, what shall go wrong, what it was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.hub = self  # type: ignore[attr-defined]

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def gets(self, path: str) -> list[Request]:
        """The GET requests whose path contains `path`."""
        return [request for request in self.requests if request.method == "GET" and path in request.path]

    def take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == method and fault.path in path:
                fault.times -= 1
                return fault
        return None


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()


class Client:
    """Entry scripts of the data stage, each in a process of its own: the hub's client reads its environment once."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.folder = folder
        self.hf_home = folder / "hf"
        names = [name for name in os.environ if name.startswith("HF_") or name.lower().endswith("_proxy")]
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in names},
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(self.hf_home),
        }

    def start(
        self, script: str, source: str, output: Path, revision: str | None = None, **env: str
    ) -> subprocess.Popen:
        settings = json.dumps({"source": source, "revision": revision})
        return subprocess.Popen(
            [sys.executable, "-m", f"scripts.data.{script}", "--settings", settings, "--output", str(output),
             "--retry-wait-sec", "0.01"],
            cwd=ROOT, env={**self.environment, **env}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, script: str, source: str, output: Path, revision: str | None = None, **env: str) -> str:
        """Runs to the end, which must be a good one; returns what was written to stderr."""
        code, errors = self._finish(self.start(script, source, output, revision, **env))
        assert code == 0, errors
        return errors

    def fail(self, script: str, source: str, output: Path, revision: str | None = None, **env: str) -> str:
        """Runs to the end, which must be one line of error and status 2, with no manifest; returns that line."""
        code, errors = self._finish(self.start(script, source, output, revision, **env))
        assert code == 2, errors
        assert "Traceback" not in errors
        assert not output.exists()
        line = errors.splitlines()[-1]
        assert line.startswith("error: ")
        return line

    @staticmethod
    def _finish(process: subprocess.Popen) -> tuple[int, str]:
        _, errors = process.communicate(timeout=120)
        return process.returncode, errors

    def blobs(self, etag: str) -> list[Path]:
        """The cache's files of one content: the whole one, or the incomplete one."""
        return list(self.hf_home.glob(f"hub/*/blobs/{etag}*"))

    def has_received(self, etag: str, size_bytes: int) -> bool:
        return any(path.stat().st_size == size_bytes for path in self.blobs(etag))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests are kept in `hub.requests`."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/api/agent-harnesses":
            # The client asks this once a day for its own headers; it is no part of fetching.
            self._send(404, {}, b"")
            return
        seen = Request(self.command, path, self.headers.get("Range"), self.headers.get("Authorization"))
        self.hub.requests.append(seen)
        fault = self.hub.take_fault(self.command, path)
        if fault and fault.status:
            self._send(fault.status, fault.headers, b"")
        elif path.startswith("/api/"):
            self._send_info(path)
        elif path.startswith("/cdn/"):
            self._send_content(self._large(path.removeprefix("/cdn/")), {}, fault)
        else:
            self._send_file(path, fault)

    def _send_info(self, path: str) -> None:
        _, _, kind, rest = path.split("/", 3)
        repo_id, _, revision = rest.partition("/revision/")
        repo = self._repo(f"{kind}/{repo_id}", revision)
        if repo is None:
            return
        body = {
            "id": repo_id,
            "sha": repo.commit,
            "siblings": [{"rfilename": name} for name in repo.files],
            "tags": [f"license:{repo.licence}"] if repo.licence else [],
            "cardData": {"license": repo.licence} if repo.licence else None,
        }
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _send_file(self, path: str, fault: Fault | None) -> None:
        repo_path, _, rest = path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        repo = self._repo(repo_path if repo_path.startswith("datasets/") else f"models/{repo_path}", revision)
        if repo is None:
            return
        if repo.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "GatedRepo")
        elif name not in repo.files:
            self._refuse(404, "EntryNotFound")
        elif name in repo.large:
            sha256 = hashlib.sha256(repo.files[name]).hexdigest()
            size = fault.promised_bytes if fault and fault.promised_bytes else len(repo.files[name])
            headers = {"X-Repo-Commit": repo.commit, "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(size)}
            self._send(302, {**headers, "Location": f"http://localhost:{self.hub.port}/cdn/{sha256}"}, b"")
        else:
            content = repo.files[name]
            self._send_content(content, {"X-Repo-Commit": repo.commit, "ETag": f'"{git_hash(content)}"'}, fault)

    def _repo(self, key: str, revision: str) -> Repo | None:
        repo = self.hub.repos.get(key)
        if repo is None:
            # The hub does not tell strangers whether a repository exists.
            self._refuse(404 if self.headers.get("Authorization") else 401, "RepoNotFound")
        elif revision not in (*repo.refs, repo.commit):
            self._refuse(404, "RevisionNotFound")
            return None
        return repo

    def _large(self, sha256: str) -> bytes:
        contents = (content for repo in self.hub.repos.values() for content in repo.files.values())
        return next(content for content in contents if hashlib.sha256(content).hexdigest() == sha256)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, {"X-Error-Code": code}, b"")

    def _send_content(self, content: bytes, headers: dict[str, str], fault: Fault | None) -> None:
        if fault and fault.content is not None:
            content = fault.content
        first, status = 0, 200
        if wanted := self.headers.get("Range"):
            first, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            headers = {**headers, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        self._send(status, headers, content[first:], fault)

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None) -> None:
        self.send_response(status)
        if not (fault and fault.promised_bytes == -1):
            headers = {**headers, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with contextlib.suppress(ConnectionError):
            if fault and fault.drop_after is not None:
                self.wfile.write(body[: fault.drop_after])
                self._hang_up(fault.reset_when)
            elif fault and fault.stall_after is not None:
                self.wfile.write(body[: fault.stall_after])
                self.connection.recv(1)
                self.close_connection = True
            else:
                self.wfile.write(body)

    def _hang_up(self, reset_when: Callable[[], bool] | None) -> None:
        """Ends the connection: with a FIN, or with a RST."""
        if reset_when:
            wait_until(reset_when)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
