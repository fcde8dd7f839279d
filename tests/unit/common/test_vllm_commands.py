"""The server's command is a pure function of the configuration; the paper's commands come out of configs/paper.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common.server_settings import ServerSettings, server_settings
from scripts.common.settings import parse_settings
from scripts.common.vllm_commands import container_name, has_host_network, launch, served_name, text_only_args

ROOT = Path(__file__).resolve().parents[3]
MODEL = Path("/runs/paper/models/tpu/seed0")
GEMMA = {"architectures": ["Gemma4ForConditionalGeneration"], "vision_config": {"hidden_size": 1152}}
TEXT_GEMMA = {"architectures": ["Gemma4ForConditionalGeneration"], "vision_config": None}
NO_TELEMETRY = ["--env", "VLLM_NO_USAGE_STATS=1", "--env", "DO_NOT_TRACK=1"]


def settings_of(config_file: str, arm_name: str, **changes: Any) -> ServerSettings:
    """What the workflow hands to a step for one arm of a shipped configuration."""
    config = yaml.safe_load((ROOT / config_file).read_text())
    hardware = yaml.safe_load((ROOT / "resources/hardware.yaml").read_text())
    (arm,) = (entry for entry in config["arms"] if entry["name"] == arm_name)
    arm = {**arm, "train": changes.pop("train", arm["train"]), "serve": {**arm["serve"], **changes}}
    fields = server_settings(config["serve"], arm, hardware[arm["serve"]["hardware"]]["kind"])
    return parse_settings(ServerSettings, json.dumps(fields))


def test_the_papers_tpu_server() -> None:
    """Section 7.1.1: privileged, host network, vllm itself as entry point, 8 chips, 16,384 tokens, no chunked input."""
    started = launch(settings_of("configs/paper.yaml", "tpu"), MODEL, GEMMA, 8123, "vllm-bench-tpu")
    assert list(started.command) == [
        "docker", "run", "--rm", "--name", "vllm-bench-tpu", "--privileged", "--network", "host", *NO_TELEMETRY,
        "--volume", "/runs/paper/models/tpu/seed0:/model:ro",
        "--entrypoint", "vllm", "vllm/vllm-tpu:gemma4", "serve", "/model", "--served-model-name", "tpu/seed0",
        "--host", "127.0.0.1", "--port", "8123",
        "--dtype", "bfloat16", "--max-model-len", "16384", "--tensor-parallel-size", "8",
        "--disable_chunked_mm_input", "--no-enable-chunked-prefill",
    ]  # fmt: skip
    assert started.cleanup == ("docker", "rm", "--force", "vllm-bench-tpu")
    assert started.model_name == "tpu/seed0"


def test_the_papers_tpu_server_of_the_untuned_model_takes_its_id() -> None:
    settings = settings_of("configs/paper.yaml", "tpu", train=None, model_id="google/gemma-4-31B-it")
    started = launch(settings, MODEL, GEMMA, 8123, "n")
    assert started.model_name == "google/gemma-4-31B-it"
    serve = started.command.index("serve")
    assert started.command[serve : serve + 4] == ("serve", "google/gemma-4-31B-it", "--host", "127.0.0.1")
    assert "--volume" not in started.command


def test_the_papers_gpu_server() -> None:
    """Section 7.2: two H100s, 16,384 tokens, a local folder."""
    started = launch(settings_of("configs/paper.yaml", "gpu"), MODEL, GEMMA, 8124, "vllm-bench-gpu")
    assert list(started.command) == [
        "docker", "run", "--rm", "--name", "vllm-bench-gpu", "--gpus", "all", "--ipc", "host", "--network", "host",
        *NO_TELEMETRY, "--volume", "/runs/paper/models/tpu/seed0:/model:ro",
        "--entrypoint", "vllm", "vllm/vllm-openai:v0.20.2", "serve", "/model", "--served-model-name", "tpu/seed0",
        "--host", "127.0.0.1", "--port", "8124",
        "--dtype", "bfloat16", "--max-model-len", "16384", "--tensor-parallel-size", "2",
        "--no-enable-chunked-prefill",
    ]  # fmt: skip


def test_a_container_without_the_hosts_network_publishes_its_port_on_the_loopback_only() -> None:
    settings = settings_of("configs/paper.yaml", "gpu", docker_args=["--gpus", "all"])
    command = launch(settings, MODEL, GEMMA, 8124, "n").command
    assert command[command.index("--publish") + 1] == "127.0.0.1:8124:8124"
    assert command[command.index("--host") + 1] == "0.0.0.0"


def test_a_cache_folder_keeps_downloads_and_compiled_programs(tmp_path: Path) -> None:
    settings = settings_of("configs/paper.yaml", "tpu", cache_folder=str(tmp_path))
    assert f"{tmp_path}:/root/.cache" in launch(settings, MODEL, GEMMA, 8124, "n").command


def test_the_default_server_is_vllm_on_this_machines_cpu() -> None:
    started = launch(settings_of("config.yaml", "tpu"), Path("/runs/mini/models/tpu/seed0"), TEXT_GEMMA, 8000, "n")
    assert list(started.command) == [
        "python", "-m", "scripts.common.vllm_cpu", "serve", "/runs/mini/models/tpu/seed0",
        "--host", "127.0.0.1", "--port", "8000", "--served-model-name", "tpu/seed0",
        "--dtype", "float32", "--max-model-len", "512", "--tensor-parallel-size", "1",
        "--hf-overrides", '{"architectures":["Gemma4ForCausalLM"]}',
        "--enforce-eager", "--kv-cache-memory-bytes", "1073741824", "--distributed-executor-backend", "uni",
    ]  # fmt: skip
    assert started.environment == {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    assert started.cleanup == ()


def test_extra_arguments_come_last_so_that_they_win() -> None:
    settings = settings_of("config.yaml", "tpu", extra_args=["--kv-cache-memory-bytes", "5"])
    assert launch(settings, MODEL, TEXT_GEMMA, 8000, "n").command[-2:] == ("--kv-cache-memory-bytes", "5")


def test_a_native_gpu_server_is_plain_vllm() -> None:
    settings = ServerSettings("native", "gpu", 2, 512, "auto", 20)
    command = launch(settings, MODEL, TEXT_GEMMA, 8000, "n").command
    assert command[:2] == ("vllm", "serve")
    assert "--enforce-eager" not in command


@pytest.mark.parametrize(
    ("config", "overridden"),
    [(TEXT_GEMMA, True), (GEMMA, False), ({"architectures": ["Gemma4ForCausalLM"]}, False), ({}, False)],
)
def test_only_a_text_checkpoint_of_the_multimodal_class_is_loaded_as_text(
    config: dict[str, Any], overridden: bool
) -> None:
    assert bool(text_only_args(config)) == overridden


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--network", "host"), True), (("--network=host",), True), (("--net=host",), True), ((), False),
        (("--network", "bridge"), False), (("--ipc", "host"), False), (("--network", "hosts-of-mine"), False),
    ],
)  # fmt: skip
def test_the_hosts_network_is_recognised(arguments: tuple[str, ...], expected: bool) -> None:
    assert has_host_network(arguments) == expected


def test_names_say_what_is_served_and_by_which_job(tmp_path: Path) -> None:
    assert served_name(Path("/runs/mini/base_model")) == "mini/base_model"
    name = container_name(tmp_path / "results/paper/logs/bench/tpu.server.log")
    assert name.startswith("vllm-bench-tpu-server-")
    assert name == container_name(tmp_path / "results/paper/logs/bench/tpu.server.log")
    assert name != container_name(tmp_path / "results/mini/logs/bench/tpu.server.log")


def test_a_tuned_arm_cannot_be_served_by_the_untuned_models_id() -> None:
    with pytest.raises(ValueError, match=r"arms\[tpu\].serve.model_id: the arm is tuned"):
        settings_of("configs/paper.yaml", "tpu", model_id="google/gemma-4-31B-it")


def test_nothing_of_the_hardware_but_its_kind_reaches_the_server() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    fields = server_settings(config["serve"], config["arms"][0], "cpu")
    assert fields == {**config["serve"], "backend": "native", "tensor_parallel_size": 1, "hardware_kind": "cpu"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": None}, "needs an image"),
        ({"backend": "native"}, "image is for backend docker"),
        ({"tensor_parallel_size": 0}, "must be positive"),
    ],
)
def test_contradictory_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    valid: dict[str, Any] = {
        "backend": "docker", "hardware_kind": "gpu", "tensor_parallel_size": 2, "max_model_len_tokens": 512,
        "dtype": "auto", "startup_timeout_sec": 20, "image": "vllm/vllm-openai:v0.20.2",
    }  # fmt: skip
    ServerSettings(**valid)
    with pytest.raises(ValueError, match=message):
        ServerSettings(**{**valid, **changes})
