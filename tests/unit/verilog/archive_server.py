"""A web server with one archive, which it serves whole, in ranges, or badly."""

import contextlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from typing import Any


def archive_of(folders: Mapping[str, Mapping[str, bytes]]) -> bytes:
    """A .tar.gz as GitHub makes them: everything below one folder named by the commit."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for folder, files in folders.items():
            for name, content in files.items():
                member = tarfile.TarInfo(f"verilog-eval-c498220/{folder}/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


class ArchiveServer(http.server.ThreadingHTTPServer):
    """Serves `content` at every path. `statuses` are answered first, one a request; `cut_bytes` ends a transfer early;
    `ranges` says whether it knows them; `requested` are the Range headers that came, None for none."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.statuses: list[int] = []
        self.cut_bytes: int | None = None
        self.ranges = True
        self.requested: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.tar.gz"


@contextlib.contextmanager
def archive_server(content: bytes) -> Iterator[ArchiveServer]:
    server = ArchiveServer(content)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ArchiveServer

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.requested.append(asked)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        body, start = server.content, 0
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : server.cut_bytes])
