"""The command lines and the environment of vLLM servers, as pure functions of the settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.common import vllm_cpu
from scripts.common.server_settings import ServerSettings

# Where a container finds the mounted model.
CONTAINER_MODEL = "/model"
CONTAINER_CACHE = "/root/.cache"
NO_TELEMETRY = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
# Of a server on a CPU: enough for a small model's 16 requests in flight; a larger one raises it by extra_args.
CPU_KV_CACHE_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class Launch:
    """How a server is started: its command, the environment variables on top of the job's, the name it serves the model
    under, and the command that removes what outlives it (empty for a plain process)."""

    command: tuple[str, ...]
    environment: dict[str, str]
    model_name: str
    cleanup: tuple[str, ...] = ()


def launch(
    settings: ServerSettings, model_folder: Path, model_config: Mapping[str, Any], port: int, name: str
) -> Launch:
    """The launch of one server on `port`; `name` is the container's where there is one.

    `model_config` is the content of the model's config.json.
    """
    if settings.backend == "docker":
        return docker_launch(settings, model_folder, model_config, port, name)
    return native_launch(settings, model_folder, model_config, port)


def native_launch(settings: ServerSettings, model_folder: Path, model_config: Mapping[str, Any], port: int) -> Launch:
    """`vllm serve` of this environment, on the loopback interface only."""
    name = served_name(model_folder)
    program = ["vllm"]
    device_args: list[str] = []
    if settings.hardware_kind == "cpu":
        device_args = ["--enforce-eager", "--kv-cache-memory-bytes", str(CPU_KV_CACHE_BYTES)]
        if settings.tensor_parallel_size == 1:
            program = ["python", "-m", vllm_cpu.__name__]
            device_args += ["--distributed-executor-backend", "uni"]
    command = [
        *program, "serve", str(model_folder),
        "--host", "127.0.0.1", "--port", str(port),
        "--served-model-name", name,
        *model_args(settings),
        *text_only_args(model_config),
        *device_args,
        *settings.extra_args,
    ]  # fmt: skip
    return Launch(tuple(command), {**NO_TELEMETRY, "HF_HUB_OFFLINE": "1"}, name)


def docker_launch(
    settings: ServerSettings, model_folder: Path, model_config: Mapping[str, Any], port: int, name: str
) -> Launch:
    """`docker run` of the image with vLLM itself as entry point (its wrapper parses arguments in another way, paper
    section 7.1.1)."""
    host_network = has_host_network(settings.docker_args)
    docker = ["docker", "run", "--rm", "--name", name, *settings.docker_args]
    if not host_network:
        docker += ["--publish", f"127.0.0.1:{port}:{port}"]
    if settings.cache_folder:
        docker += ["--volume", f"{Path(settings.cache_folder).expanduser().resolve()}:{CONTAINER_CACHE}"]
    for key, value in NO_TELEMETRY.items():
        docker += ["--env", f"{key}={value}"]
    if settings.model_id:
        model_name = settings.model_id
        model = [settings.model_id]
    else:
        model_name = served_name(model_folder)
        docker += ["--volume", f"{model_folder.resolve()}:{CONTAINER_MODEL}:ro"]
        model = [CONTAINER_MODEL, "--served-model-name", model_name, *text_only_args(model_config)]
    assert settings.image is not None  # ServerSettings checks it
    command = [
        *docker, "--entrypoint", "vllm", settings.image, "serve", *model,
        "--host", "127.0.0.1" if host_network else "0.0.0.0", "--port", str(port),
        *model_args(settings),
        *settings.extra_args,
    ]  # fmt: skip
    return Launch(tuple(command), {}, model_name, ("docker", "rm", "--force", name))


def model_args(settings: ServerSettings) -> list[str]:
    return [
        "--dtype", settings.dtype,
        "--max-model-len", str(settings.max_model_len_tokens),
        "--tensor-parallel-size", str(settings.tensor_parallel_size),
    ]  # fmt: skip


def text_only_args(model_config: Mapping[str, Any]) -> list[str]:
    """Flags that make vLLM load a checkpoint of Gemma 4's multimodal class that holds the text part only."""
    if model_config.get("architectures") == ["Gemma4ForConditionalGeneration"] and not model_config.get(
        "vision_config"
    ):
        return ["--hf-overrides", json.dumps({"architectures": ["Gemma4ForCausalLM"]}, separators=(",", ":"))]
    return []


def has_host_network(docker_args: tuple[str, ...]) -> bool:
    joined = " ".join(docker_args)
    return re.search(r"--net(work)?[= ]host\b", joined) is not None


def served_name(model_folder: Path) -> str:
    """The name a folder's model is served under: its last two path components, such as tpu/seed0."""
    return "/".join(model_folder.resolve().parts[-2:])


def container_name(log_path: Path) -> str:
    """The container's name of the job whose server logs to `log_path`: one run, arm and purpose, in one checkout.

    A job that was killed together with its supervisor leaves its container behind; the same job's next start finds it
    by this name.
    """
    path = log_path.resolve()
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", "-".join([path.parent.name, path.stem])).strip("-")
    return f"vllm-{readable}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
