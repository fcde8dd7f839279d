"""What configs/paper.yaml, config.yaml's plan and resources/hardware.yaml take from the paper is what it prints."""

import math
import re
from typing import Any

import pytest
import yaml

from tests.unit.audit.audited import ROOT, published


def value(claim_id: str) -> Any:
    claim = published().claims[claim_id]
    return claim.number.value if claim.unit else claim.printed


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


PAPER = read("configs/paper.yaml")
HARDWARE = read("resources/hardware.yaml")
ARMS = {arm["name"]: arm for arm in PAPER["arms"]}
SETTINGS = [
    ("model.source", "served_model"),
    ("data.max_rows", "dataset_samples"),
    ("data.max_seq_len_tokens", "max_seq_len"),
    ("train.epochs", "epochs"),
    ("train.samples_per_step", "effective_batch_size"),
    ("train.lora_rank", "lora_rank"),
    ("train.lora_alpha", "lora_alpha"),
    ("train.peak_learning_rate", "peak_learning_rate"),
    ("train.warmup_steps", "warmup_steps"),
    ("train.checkpoint_interval_steps", "tpu_checkpoint_interval"),
    ("train.checkpoints_kept", "tpu_checkpoints_kept"),
    ("serve.max_model_len_tokens", "max_model_len"),
    ("bench.prompts_per_cell", "prompts"),
    ("verilog.samples_per_problem", "samples_per_problem"),
    ("verilog.temperature", "temperature"),
    ("verilog.top_p", "top_p"),
]


@pytest.mark.parametrize(("path", "claim_id"), SETTINGS)
def test_a_setting_of_the_paper_s_run_is_the_published_one(path: str, claim_id: str) -> None:
    part, key = path.split(".")
    assert PAPER[part][key] == value(claim_id)


def test_the_sweep_is_the_published_one() -> None:
    contexts = [(entry["input_tokens"], entry["output_tokens"]) for entry in PAPER["bench"]["contexts"]]
    names = ["short_context", "medium_context", "long_context", "very_long_context"]
    expected = [(value(f"{name}_input"), value(f"{name}_output")) for name in names]
    assert contexts == [*expected, (value("sweep_longest_input"), value("max_context_output"))]
    *rates, burst = PAPER["bench"]["request_rates_per_sec"]
    assert (rates[0], rates[-1], str(burst)) == (value("lowest_rate"), value("highest_rate"), value("burst_rate"))
    asked = {value(name) for name in ("long_context_ttft_rate", "tpu_saturation_rate", "gpu_saturation_rate")}
    assert asked <= set(rates)
    assert PAPER["verilog"]["pass_at_k"] == [value("pass_small_k"), value("pass_large_k")]


def test_the_arms_are_the_published_ones() -> None:
    tpu, gpu = ARMS["tpu"], ARMS["gpu"]
    assert tpu["train"]["mesh"]["tp"] == value("largest_tensor_parallel")
    assert math.prod(tpu["train"]["mesh"].values()) == value("device_count")
    assert tpu["serve"]["tensor_parallel_size"] == value("tpu_tensor_parallel")
    assert gpu["serve"]["tensor_parallel_size"] == value("gpu_tensor_parallel")
    assert tpu["serve"]["image"] == value("tpu_image")
    assert gpu["serve"]["image"].endswith(f":v{value('gpu_vllm_version')}"), "pinned, where the paper took latest"
    assert (tpu["train"]["hardware"], tpu["serve"]["hardware"]) == (
        f"tpu-{value('tpu_training_slice')}",
        f"tpu-{value('tpu_serving_slice')}",
    )


@pytest.mark.parametrize(
    ("entry", "price", "chips", "bandwidth"),
    [
        ("tpu-v5p-8", "tpu_training_price", "tpu_training_chips", "v5p_bandwidth"),
        ("tpu-v6e-8", "tpu_serving_price", "tpu_serving_chips", "v6e_bandwidth"),
        ("gpu-2xh100", "gpu_training_price", "gpu_chips", "h100_bandwidth"),
    ],
)
def test_hardware_has_the_published_price_first(entry: str, price: str, chips: str, bandwidth: str) -> None:
    machine = HARDWARE[entry]
    first = next(line for line in machine["prices"] if line["kind"] == "on_demand")
    assert (first["per_hour"], first["currency"]) == (value(price), "USD")
    assert first["source"].startswith("paper")
    assert machine["chips"] == value(chips)
    assert published().claims[bandwidth].number.covers(machine["memory_bandwidth_gb_per_sec"] / 1000)


def test_the_plan_s_numbers_are_the_published_ones() -> None:
    plan = read("config.yaml")["plan"]
    assert plan["samples"] == value("subset_samples") - value("too_long_samples") - value("empty_samples")
    assert (plan["sampled_rows"], plan["full_rows"]) == (value("subset_samples"), value("full_dataset_samples"))
    assert plan["reference"]["sec_per_sample"] == value("tpu_sec_per_sample")
    assert plan["model_download_gb"] == value("model_download")
    assert plan["slice"] == value("tpu_training_slice")


def test_the_evidence_from_the_plan_is_what_its_document_says() -> None:
    """docs/plan.md is written by `make plan`; evidence that is 2 % from what it gives is stale."""
    peak = published().header.evidence["compiled_peak_without_remat"].value
    said = re.search(
        r"Without rematerialisation the step fits on mesh \(1, 4\), cross-entropy plain: ([\d.]+) of ",
        (ROOT / "docs/plan.md").read_text(encoding="utf-8"),
    )
    assert said is not None
    assert peak == pytest.approx(float(said[1]), rel=0.02)
