"""A server is asked for the log-probabilities of a prompt, and started with an adapter beside the base; what it says is
compared in the type that it serves in."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from scripts.common.errors import UserError
from scripts.common.files import read_json, write_manifest
from scripts.common.model_server import Server
from scripts.common.server_settings import ServerSettings
from scripts.merge import check_served
from scripts.merge.probe import NextTokens, Probe, save_next_tokens
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


def check(folder: Path, dtype: str, far: float) -> Path:
    """The check of a server of `dtype`, by the tolerances of config.yaml, whose log-probabilities are off by `far` from
    the reference of that type; the other type's reference is far off. Returns the JSON to write."""
    truth = NextTokens(np.array([[-3, -2], [-4, -7]], np.float32), np.zeros((2, 2), np.int32))
    references = {
        reference: NextTokens(truth.logprobs + (far if reference == dtype else 100), truth.top1)
        for reference in ("float32", "bfloat16")
    }
    save_next_tokens(folder / "next.npz", references)  # type: ignore[arg-type]
    settings = {
        "arm": "tpu", "seed": 0, "dtype": dtype, "prompts": 2, "serve_adapter": False, "lora_rank": 4,
        "tolerance": yaml.safe_load(Path("config.yaml").read_text())["merge_check"]["tolerances"][dtype],
        "server": {"backend": "native", "hardware_kind": "cpu", "tensor_parallel_size": 1, "max_model_len_tokens": 512,
                   "dtype": dtype, "startup_timeout_sec": 1},
    }  # fmt: skip
    arguments = ["--settings", json.dumps(settings), "--next-tokens", str(folder / "next.npz")]
    for option in ("--base-model", "--merged-model", "--adapter"):
        arguments += [option, str(write_manifest(folder))]
    for option in ("--tokens", "--server-log", "--output"):
        arguments += [option, str(folder / option.strip("-"))]
    check_served.main(arguments)
    return folder / "output"


@pytest.mark.parametrize(
    ("dtype", "far", "message"),
    [
        ("float32", 0.0001, None),
        ("float32", 0.04, "the largest difference is 0.04, more than 0.002"),
        ("bfloat16", 0.04, None),
        ("bfloat16", 0.6, "the largest difference is 0.6, more than 0.5"),
        ("bfloat16", 0.06, "the mean difference is 0.06, more than 0.05"),
    ],
)
def test_a_server_is_compared_with_the_reference_and_the_tolerance_of_its_type(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    dtype: str, far: float, message: str | None,
) -> None:  # fmt: skip
    @contextlib.contextmanager
    def served(*_: Any) -> Iterator[Server]:
        yield Server(url, "ours", 0.0, (), 0, "0.0.fake")

    monkeypatch.setattr(check_served, "model_server", served)
    monkeypatch.setattr(check_served, "read_probe", lambda *_: PROBE)
    if message is None:
        written = read_json(check(tmp_path, dtype, far))
        assert written["dtype"] == dtype
        assert written["differences"]["merged"]["max_abs"] == pytest.approx(far, rel=1e-2)
    else:
        with pytest.raises(SystemExit):
            check(tmp_path, dtype, far)
        assert message in capsys.readouterr().err
        assert not (tmp_path / "output").exists()


def test_a_refusal_is_one_line(url: str) -> None:
    with pytest.raises(UserError, match="no such model"):
        served_next_tokens(url, "another", PROBE)
