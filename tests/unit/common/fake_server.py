"""A stand-in for `vllm serve`: parses its flags, answers as it does, and misbehaves as FAKE_MODE (a word list) says.

exit: prints an error and ends. stubborn: ignores SIGTERM, with an engine process that does so too. engine: with an
engine process in the same session, and one in a session of its own. slow: healthy after FAKE_DELAY_SEC only.
Process ids are appended to FAKE_PIDS; the path of a file in its temporary folder, like vLLM's sockets, goes to `socket`
beside it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def note_pid(pid: int) -> None:
    with open(os.environ["FAKE_PIDS"], "a") as pids:
        pids.write(f"{pid}\n")


def start_engines(stubborn: bool) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if stubborn else ""
    for new_session in (False, True):
        code = f"import signal, time; {ignore} time.sleep(600)"
        note_pid(subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=new_session).pid)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    arguments, _ = parser.parse_known_args()
    mode = os.environ.get("FAKE_MODE", "").split()
    note_pid(os.getpid())
    Path(os.environ["FAKE_PIDS"]).with_name("socket").write_text(tempfile.mkstemp()[1])
    if "stubborn" in mode:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "engine" in mode or "stubborn" in mode:
        start_engines("stubborn" in mode)
    if "exit" in mode:
        print("(EngineCore pid=7) INFO 11-23 18:35:31 [core.py:133] Initializing an engine", flush=True)
        print("(EngineCore pid=7) ERROR 11-23 18:35:31 [core.py:842] ValueError: 4 heads over 8 devices", flush=True)
        print("  at a line that says little", flush=True)
        sys.exit(3)
    healthy_at = time.monotonic() + (float(os.environ["FAKE_DELAY_SEC"]) if "slow" in mode else 0)
    name = "another" if "impostor" in mode else arguments.served_model_name or arguments.model

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/health": {}, "/v1/models": {"data": [{"id": name}]}, "/version": {"version": "0.0.fake"}}
            healthy = time.monotonic() >= healthy_at
            self.send_response(200 if healthy and self.path in answers else 503)
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path, {})).encode())

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
