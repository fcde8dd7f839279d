"""A server is asked for the log-probabilities of a prompt, and started with an adapter beside the base."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.common.errors import UserError
from scripts.common.server_settings import ServerSettings
from scripts.merge.probe import Probe
from scripts.merge.served import served_next_tokens, with_adapter


def server_settings(backend: Any, **more: Any) -> ServerSettings:
    return ServerSettings(
        backend=backend, hardware_kind="cpu", tensor_parallel_size=1, max_model_len_tokens=512, dtype="float32",
        startup_timeout_sec=1, extra_args=("--seed", "1"), **more,
    )  # fmt: skip


def test_a_native_server_reads_the_adapters_folder(tmp_path: Path) -> None:
    args = with_adapter(server_settings("native"), tmp_path, rank=16).extra_args
    assert args[:2] == ("--seed", "1")
    assert args[2:] == ("--enable-lora", "--max-lora-rank", "16", "--lora-modules", f"adapter={tmp_path}")


def test_a_container_has_the_adapter_mounted(tmp_path: Path) -> None:
    settings = with_adapter(server_settings("docker", image="vllm"), tmp_path, rank=16)
    assert settings.docker_args == ("--volume", f"{tmp_path}:/adapter:ro")
    assert settings.extra_args[-1] == "adapter=/adapter"


@pytest.mark.parametrize(("rank", "room"), [(1, "1"), (2, "8"), (64, "64"), (100, "128")])
def test_vllm_makes_room_for_certain_ranks_only(tmp_path: Path, rank: int, room: str) -> None:
    args = with_adapter(server_settings("native"), tmp_path, rank).extra_args
    assert args[args.index("--max-lora-rank") + 1] == room


def test_a_rank_too_large_for_vllm_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lora_rank 600"):
        with_adapter(server_settings("native"), tmp_path, 600)


class Completions(BaseHTTPRequestHandler):
    """Answers as vLLM does: nothing for the first token; for each other the token's own log-probability and the best
    one's. Here a token t has log-probability -t, and token 0 is the best everywhere."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request["model"] != "ours":
            self.reply(404, {"error": "no such model"})
            return
        assert (request["max_tokens"], request["temperature"], request["prompt_logprobs"]) == (1, 0.0, 1)
        entries: list[Any] = [None]
        for token in request["prompt"][1:]:
            entries.append({"0": {"logprob": 0.0, "rank": 1}, str(token): {"logprob": -token, "rank": token + 1}})
        self.reply(200, {"choices": [{"prompt_logprobs": entries}]})

    def reply(self, status: int, payload: Any) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Completions)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


PROBE = Probe([np.array([5, 1, 3, 2], np.int32), np.array([4, 4, 7], np.int32)], positions=3)


def test_the_last_tokens_log_probabilities_are_read(url: str) -> None:
    said = served_next_tokens(url, "ours", PROBE)
    np.testing.assert_array_equal(said.logprobs, [[-3.0, -2.0], [-4.0, -7.0]])
    np.testing.assert_array_equal(said.top1, 0)


def test_a_refusal_is_one_line(url: str) -> None:
    with pytest.raises(UserError, match="no such model"):
        served_next_tokens(url, "another", PROBE)
