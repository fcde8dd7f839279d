"""What a vLLM server says of the tokens of a prompt, and its settings when it serves an adapter beside the base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import requests

from scripts.common.errors import UserError
from scripts.common.server_settings import ServerSettings
from scripts.merge.probe import NextTokens, Probe

ADAPTER_NAME = "adapter"
CONTAINER_ADAPTER = "/adapter"
# The ranks that vLLM has room for (vllm/config/lora.py, 0.32).
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
REQUEST_TIMEOUT_SEC = 600


def with_adapter(server: ServerSettings, adapter: Path, rank: int) -> ServerSettings:
    """`server` with the adapter in the folder `adapter` as a second model, ADAPTER_NAME."""
    room = next((size for size in VLLM_RANKS if size >= rank), None)
    if room is None:
        raise UserError(f"train.lora_rank {rank}: vLLM serves adapters up to rank {VLLM_RANKS[-1]}")
    location = str(adapter.resolve()) if server.backend == "native" else CONTAINER_ADAPTER
    flags = ("--enable-lora", "--max-lora-rank", str(room), "--lora-modules", f"{ADAPTER_NAME}={location}")
    mount = () if server.backend == "native" else ("--volume", f"{adapter.resolve()}:{CONTAINER_ADAPTER}:ro")
    return replace(server, extra_args=(*server.extra_args, *flags), docker_args=(*server.docker_args, *mount))


def served_next_tokens(base_url: str, model_name: str, probe: Probe) -> NextTokens:
    """The server's log-probabilities of the probe's tokens, asked for as those of a prompt."""
    said = [row_logprobs(base_url, model_name, tokens, probe.positions - 1) for tokens in probe.rows]
    return NextTokens(
        np.array([[logprob for logprob, _ in row] for row in said], np.float32),
        np.array([[top1 for _, top1 in row] for row in said], np.int32),
    )


def row_logprobs(base_url: str, model_name: str, tokens: np.ndarray, count: int) -> list[tuple[float, int]]:
    """(log-probability, most likely token) of the last `count` tokens of one row."""
    request: dict[str, Any] = {
        "model": model_name, "prompt": tokens.tolist(), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 1,
    }  # fmt: skip
    response = requests.post(f"{base_url}/completions", json=request, timeout=REQUEST_TIMEOUT_SEC)
    if not response.ok:
        raise UserError(f"the server refused a prompt of {len(tokens)} tokens: {response.text[:300]}")
    positions = response.json()["choices"][0]["prompt_logprobs"][-count:]
    answers = []
    for token, said in zip(tokens[-count:].tolist(), positions, strict=True):
        top1 = min(said, key=lambda entry: said[entry]["rank"])
        answers.append((said[str(token)]["logprob"], int(top1)))
    return answers
