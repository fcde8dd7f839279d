"""Flags that this project gives to vLLM exist in the vLLM that is installed, and mean what they should."""

import os
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM: python envs/launch.py torch pytest tests/unit/serve")

from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.platforms.cpu import CpuPlatform
from vllm.utils.argparse_utils import FlexibleArgumentParser

from scripts.common import vllm_cpu
from scripts.common.server_settings import ServerSettings
from scripts.common.vllm_commands import launch
from scripts.serve.cells import Cell
from scripts.serve.vllm_bench import bench_arguments, parse

TEXT_GEMMA = {"architectures": ["Gemma4ForConditionalGeneration"], "vision_config": None}
PAPER_ARGS = ("--disable_chunked_mm_input", "--no-enable-chunked-prefill")


@pytest.mark.parametrize("rate", [2.0, "inf"])
def test_the_client_understands_a_cell(rate: float, tmp_path: Path) -> None:
    cell = Cell(64, 32, rate, 12)
    options = parse(bench_arguments(cell, "http://127.0.0.1:8000", "tpu/seed0", tmp_path, tmp_path / "x.json"))
    assert options.base_url == "http://127.0.0.1:8000"
    assert options.dataset_name == "random"
    assert (options.random_input_len, options.random_output_len) == (64, 32)
    assert float(options.random_range_ratio) == 0
    assert options.num_prompts == 12
    assert options.request_rate == float(rate)
    assert options.seed == cell.seed
    assert options.temperature == 0
    assert options.ignore_eos
    assert options.save_result
    assert options.save_detailed
    assert options.ready_check_timeout_sec == 0, "a check would send the first prompt and fill the prefix cache"
    assert Path(options.result_dir, options.result_filename) == tmp_path / "x.json"
    assert {"ttft", "tpot", "itl"} <= set(options.percentile_metrics.split(","))
    assert "99" in options.metric_percentiles.split(",")


@pytest.mark.parametrize(
    "settings",
    [
        ServerSettings("native", "cpu", 1, 512, "float32", 300),
        ServerSettings("native", "gpu", 2, 16384, "bfloat16", 300, extra_args=PAPER_ARGS),
        ServerSettings("docker", "tpu", 8, 16384, "bfloat16", 300, image="vllm/vllm-tpu:gemma4", extra_args=PAPER_ARGS),
    ],
    ids=["cpu", "gpu", "tpu"],
)
def test_the_server_understands_every_flag(settings: ServerSettings, tmp_path: Path) -> None:
    command = launch(settings, tmp_path, TEXT_GEMMA, 8000, "n").command
    arguments = list(command[command.index("serve") + 1 :])
    options = make_arg_parser(FlexibleArgumentParser()).parse_args(arguments)
    assert options.port == 8000
    assert options.served_model_name == [launch(settings, tmp_path, TEXT_GEMMA, 8000, "n").model_name]
    assert options.max_model_len == settings.max_model_len_tokens
    assert options.tensor_parallel_size == settings.tensor_parallel_size
    assert options.dtype == settings.dtype
    assert options.hf_overrides == {"architectures": ["Gemma4ForCausalLM"]}
    if settings.hardware_kind == "cpu":
        assert options.enforce_eager
        assert options.kv_cache_memory_bytes == 2**30
        assert options.distributed_executor_backend == "uni"
    else:
        assert options.disable_chunked_mm_input
        assert options.enable_chunked_prefill is False


def test_the_engine_is_forked_although_the_cpu_platform_asks_for_spawn(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def check(cls: type, config: object) -> None:
        seen.append(config)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"

    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    monkeypatch.setattr(CpuPlatform, "check_and_update_config", classmethod(check))
    vllm_cpu.fork_engine()
    CpuPlatform.check_and_update_config("the configuration")
    assert seen == ["the configuration"]
    assert os.environ["VLLM_WORKER_MULTIPROC_METHOD"] == "fork"
