"""What a vLLM server is started with: the part of the configuration that generation and the benchmark share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """One vLLM server.

    `backend` native runs the environment's own `vllm`, docker an image. `hardware_kind` is the kind of the hardware
    entry that the arm serves on. `dtype` is that of weights and activations.

    With docker the model's folder is mounted read-only, unless `model_id` names a Hugging Face id for the server to
    load by itself. The paper (section 7.1.1) found that vLLM-TPU refuses local paths and gave it
    `google/gemma-4-31B-it`; that serves an untuned model only, for a merged one exists as a folder and nowhere else.
    `cache_folder` is a host folder mounted at the container's `/root/.cache`, where it keeps Hugging Face downloads
    and compiled programs: without it every start downloads and compiles again (section 7.1.2).
    """

    backend: Literal["native", "docker"]
    hardware_kind: Literal["cpu", "gpu", "tpu"]
    tensor_parallel_size: int
    max_model_len_tokens: int
    dtype: Literal["float32", "bfloat16", "auto"]
    startup_timeout_sec: float
    image: str | None = None
    model_id: str | None = None
    cache_folder: str | None = None
    docker_args: tuple[str, ...] = ()
    extra_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.tensor_parallel_size < 1 or self.max_model_len_tokens < 1 or self.startup_timeout_sec <= 0:
            raise ValueError("tensor_parallel_size, max_model_len_tokens and startup_timeout_sec must be positive")
        if self.backend == "docker" and not self.image:
            raise ValueError("backend docker needs an image, such as vllm/vllm-openai:v0.20.2")
        if self.backend == "native":
            for key in ("image", "model_id", "cache_folder", "docker_args"):
                if getattr(self, key):
                    raise ValueError(f"{key} is for backend docker; this one is native")


def server_settings(serve: Mapping[str, Any], arm: Mapping[str, Any], hardware_kind: str) -> dict[str, Any]:
    """The JSON-ready fields of `ServerSettings` for one arm of the configuration.

    `serve` is the configuration's section of that name, `arm` an entry of `arms`, `hardware_kind` the kind of the
    hardware that the arm serves on: nothing else of the hardware, a price least of all, makes a server's results stale.
    Raises ValueError for a tuned arm with a `model_id`, which would serve the untuned model under the arm's name.
    """
    own = {key: value for key, value in arm["serve"].items() if key != "hardware" and value is not None}
    if own.get("model_id") and arm["train"] is not None:
        raise ValueError(
            f"arms[{arm['name']}].serve.model_id: the arm is tuned, and {own['model_id']} is not the tuned model; "
            "remove model_id (the merged folder is mounted) or set train: null"
        )
    return {**serve, **own, "hardware_kind": hardware_kind}
