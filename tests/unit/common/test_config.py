"""The configuration is strict: every mistake is one line with the key's path, what was found and what was expected."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.config import schema_problems, validate_config
from scripts.common.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = yaml.safe_load((ROOT / "config.yaml").read_text())
PAPER = yaml.safe_load((ROOT / "configs/paper.yaml").read_text())
HARDWARE = yaml.safe_load((ROOT / "resources/hardware.yaml").read_text())


def merged(config: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Snakemake's overlay: mappings merge, everything else replaces."""
    result = copy.deepcopy(config)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


# The shipped configuration with the values that the tests below speak of.
CONFIG = merged(
    SHIPPED,
    {
        "data": {"max_rows": None},
        "train": {"epochs": 2, "samples_per_step": 16, "micro_batch_size": 8, "warmup_steps": 20},
        "serve": {"max_model_len_tokens": 512},
        "bench": {"contexts": [{"input_tokens": 64, "output_tokens": 32}]},
        "verilog": {"samples_per_problem": 5, "pass_at_k": [1, 5], "max_new_tokens": 192},
    },
)


def arms(index: int, **changes: Any) -> dict[str, Any]:
    """The default arms as an overlay, with keys of one arm changed."""
    entries = copy.deepcopy(CONFIG["arms"])
    entries[index] = merged(entries[index], changes)
    return {"arms": entries}


def problems(overlay: dict[str, Any], hardware: dict[str, Any] | None = None) -> list[str]:
    """The lines that validation gives for `CONFIG` with `overlay` over it."""
    try:
        validate_config(merged(CONFIG, overlay), merged(HARDWARE, hardware or {}))
    except UserError as error:
        return str(error).split("\n")
    return []


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every subschema of a property or list item."""
    if isinstance(schema, dict):
        for child in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
            yield child
        for child in schema.values():
            yield from nodes(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from nodes(child)


def test_the_shipped_configurations_are_valid() -> None:
    validate_config(SHIPPED, HARDWARE)
    validate_config(merged(SHIPPED, PAPER), HARDWARE)


@pytest.mark.parametrize("name", ["config", "hardware"])
def test_every_key_is_described_and_every_number_has_its_unit(name: str) -> None:
    schema = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
    found = [node for node in nodes(schema) if "$ref" not in node]
    assert len(found) > 10
    for node in found:
        assert node.get("description"), node
        if {"integer", "number"} & set(
            [node.get("type")] if isinstance(node.get("type"), str) else node.get("type", [])
        ):
            assert node["description"].endswith("]"), node


@pytest.mark.parametrize("name", ["config", "hardware"])
def test_every_mapping_is_closed(name: str) -> None:
    def mappings(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if "properties" in node and "type" in node:
                yield node
            for child in node.values():
                yield from mappings(child)
        elif isinstance(node, list):
            for child in node:
                yield from mappings(child)

    schema = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
    for node in mappings(schema):
        assert node.get("additionalProperties") is False, node["description"]


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        ({"train": {"lora_rnk": 8}}, "train.lora_rnk: unknown key; did you mean lora_rank?"),
        (
            {"serve": {"startup_timeout_ms": 9}},
            "serve.startup_timeout_ms: unknown key; did you mean startup_timeout_sec? "
            "(time the server may take until it is healthy [s])",
        ),
        ({"lora_rank": 8}, "lora_rank: unknown key; did you mean train.lora_rank?"),
        ({"zzz": 1}, "zzz: unknown key; known here: run, baseline_arm, seeds"),
        (
            arms(0, serve={"image": "x"}),
            "arms[0].serve.image: unknown key; image belongs to another backend than native",
        ),
        (arms(1, train={"processes": 2}), "arms[1].train.processes: unknown key; processes belongs to another backend"),
    ],
)
def test_an_unknown_key_names_the_key_that_was_meant(overlay: dict[str, Any], line: str) -> None:
    (found,) = problems(overlay)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        (
            {"train": {"peak_learning_rate": "1e-4"}},
            "train.peak_learning_rate: found the text '1e-4', expected a number above 0 (AdamW's rate after the linear "
            "warm-up, before the cosine decay to 0 [per step]); YAML reads 1e-4 as text: write 0.0001 or 1.0e-4",
        ),
        (
            {"train": {"warmup_steps": "1e2"}},
            "train.warmup_steps: found the text '1e2', expected an integer of at least 0 (linear warm-up from 0 "
            "[optimizer steps]); YAML reads 1e2 as text: write 100",
        ),
        (
            {"train": {"lora_rank": "8"}},
            "train.lora_rank: found the text '8', expected an integer of at least 1 (rank of the LoRA update "
            "[dimensions]); it is in quotes, or in a list of --config: write 8",
        ),
        (
            arms(1, train={"mesh": {"tp": 0}}),
            "arms[1].train.mesh.tp: found 0, expected an integer of at least 1 (devices that heads and hidden units "
            "are sharded over [devices])",
        ),
        ({"train": {"epochs": 1.0}}, "train.epochs: found 1.0, expected an integer of at least 1"),
        ({"train": {"epochs": True}}, "train.epochs: found true, expected an integer of at least 1"),
        (
            {"train": {"lora_dropout": 1.0}},
            "train.lora_dropout: found 1.0, expected a number of at least 0 and below 1",
        ),
        ({"verilog": {"top_p": 0}}, "verilog.top_p: found 0, expected a number above 0 and at most 1"),
        ({"train": {"dtype": "bf16"}}, "train.dtype: found the text 'bf16', expected one of float32, bfloat16"),
        ({"data": {"max_rows": 0}}, "data.max_rows: found 0, expected an integer of at least 1 or null"),
        ({"model": None}, "model: found null, expected a mapping"),
        ({"seeds": []}, "seeds: found a list of 0, expected a list that is not empty"),
        ({"seeds": [3, 3]}, "seeds: found 3 twice, expected each once"),
        ({"run": "../elsewhere"}, "run: found the text '../elsewhere', expected a name"),
        (arms(0, name="a/b"), "arms[0].name: found the text 'a/b', expected a name"),
        (
            {"bench": {"request_rates_per_sec": [float("inf")]}},
            "bench.request_rates_per_sec[0]: found inf, expected a number above 0 or inf (a request rate above 0, or "
            "the word inf for all at once [requests/s]); write inf, without a dot",
        ),
        (
            arms(2, train={"backend": "trll"}),
            "arms[2].train.backend: found the text 'trll', expected one of tunix, trl",
        ),
        (arms(2, train={"fsdp": "yes"}), "arms[2].train.fsdp: found the text 'yes', expected true or false"),
        (arms(2, train=3), "arms[2].train: found 3, expected null or a mapping with backend: tunix or"),
    ],
)
def test_a_wrong_value_says_what_was_expected_with_its_unit(overlay: dict[str, Any], line: str) -> None:
    (found,) = problems(overlay)
    assert found.startswith(line)


def test_a_missing_key_is_named_with_its_meaning() -> None:
    config = copy.deepcopy(CONFIG)
    del config["train"]["lora_rank"]
    with pytest.raises(UserError) as error:
        validate_config(config, HARDWARE)
    assert str(error.value) == (
        "train.lora_rank: missing; expected an integer of at least 1 (rank of the LoRA update [dimensions])"
    )


def test_docker_needs_an_image() -> None:
    (found,) = problems(arms(2, serve={"backend": "docker"}))
    assert found.startswith("arms[2].serve.image: missing; expected text")


def test_all_mistakes_are_listed_at_once() -> None:
    found = problems({"train": {"lora_rnk": 1, "epochs": 0}, "seeds": ["a"]})
    assert [line.split(":")[0] for line in found] == ["seeds[0]", "train.epochs", "train.lora_rnk"]


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        (
            {"baseline_arm": "gpuu"},
            "baseline_arm: found 'gpuu', expected one of the arms base, tpu, gpu; did you mean gpu?",
        ),
        (arms(0, name="TPU"), "arms[1].name: found 'tpu', expected a name unlike arms[0].name"),
        (
            arms(1, train={"hardware": "tpu-v5p8"}),
            "arms[1].train.hardware: found 'tpu-v5p8', expected an entry of resources/hardware.yaml; "
            "did you mean tpu-v5p-8?",
        ),
        (
            arms(1, train={"hardware": "tpu-v5p-8", "mesh": {"fsdp": 1, "tp": 8}}),
            "arms[1].train.mesh: found 1 x 8 = 8 devices, expected the 4 chips of tpu-v5p-8",
        ),
        (
            arms(2, train={"hardware": "tpu-v5p-8"}),
            "arms[2].train.backend: found trl on tpu-v5p-8, expected kind cpu or gpu",
        ),
        (
            arms(2, train={"hardware": "gpu-2xh100", "processes": 4}),
            "arms[2].train.processes: found 4 processes, expected at most the 2 chips of gpu-2xh100",
        ),
        (
            arms(2, serve={"hardware": "gpu-2xh100", "tensor_parallel_size": 4}),
            "arms[2].serve.tensor_parallel_size: found 4 devices, expected at most the 2 chips of gpu-2xh100",
        ),
        (
            {"train": {"samples_per_step": 12}},
            "train.samples_per_step: found 12 samples, expected a multiple of train.micro_batch_size x "
            "arms[1].train.mesh.fsdp = 8 x 1 samples",
        ),
        (
            arms(2, train={"processes": 3}),
            "train.samples_per_step: found 16 samples, expected a multiple of train.micro_batch_size x "
            "arms[2].train.processes = 8 x 3 samples",
        ),
        ({"plan": {"slice": "v5p-9"}}, "plan.slice: found slice 'v5p-9': unknown (v5p counts TensorCores"),
        (
            arms(
                1, generate={"backend": "tunix", "hardware": "tpu-v5p-8", "mesh": {"fsdp": 2, "tp": 4}, "batch_size": 8}
            ),
            "arms[1].generate.mesh: found 2 x 4 = 8 devices, expected the 4 chips of tpu-v5p-8",
        ),
        (
            arms(1, generate={"backend": "tunix", "hardware": "laptop", "mesh": {"fsdp": 1, "tp": 1}, "batch_size": 0}),
            "arms[1].generate.batch_size: found 0, expected an integer of at least 1 (answers sampled at a time",
        ),
        (
            {"plan": {"preflight_arm": "tpv"}},
            "plan.preflight_arm: found 'tpv', expected one of the arms base, tpu, gpu",
        ),
        (
            {"verilog": {"pass_at_k": [1, 6]}},
            "verilog.pass_at_k[1]: found 6 samples, expected at most verilog.samples_per_problem = 5 samples",
        ),
        (
            {"verilog": {"problems_sha256": "0" * 64}},
            "verilog.problems_sha256: found a hash for the folder resources/mini/problems, expected null",
        ),
        (
            {"verilog": {"max_new_tokens": 512}},
            "verilog.max_new_tokens: found 512 tokens, expected less than serve.max_model_len_tokens = 512 tokens",
        ),
        (
            {"bench": {"contexts": [{"input_tokens": 500, "output_tokens": 13}]}},
            "bench.contexts[0]: found 500 + 13 = 513 tokens, expected at most serve.max_model_len_tokens = 512 tokens",
        ),
        (
            {"data": {"max_rows": 80}},
            "train.warmup_steps: found 20 optimizer steps, expected at most 10: data.max_rows = 80 rows give no more",
        ),
        (
            {"data": {"max_rows": 160}, "train": {"held_out_rows": 80}},
            "train.warmup_steps: found 20 optimizer steps, expected at most 10: data.max_rows = 160 rows without "
            "train.held_out_rows = 80 give no more",
        ),
        (
            {"data": {"max_rows": 400}, "train": {"held_out_rows": 392}},
            "train.held_out_rows: found 392 rows, expected at most 384: data.max_rows = 400 rows have to fill a step "
            "of 16 samples too",
        ),
        (
            {"train": {"held_out_rows": 12}},
            "train.held_out_rows: found 12 rows, expected a multiple of train.micro_batch_size x "
            "arms[1].train.mesh.fsdp = 8 x 1 rows",
        ),
        ({"train": {"held_out_rows": -8}}, "train.held_out_rows: found -8, expected an integer of at least 0"),
        (
            {"merge": {"step": "best"}},
            "merge.step: found best, expected newest or an optimizer step: train.held_out_rows is 0, so that there is "
            "no held-out loss to judge by",
        ),
        (
            {"train": {"checkpoint_root": "gs:/bucket/path"}},
            "train.checkpoint_root: found 'gs:/bucket/path', expected null, a folder, or a bucket: gs://bucket/path",
        ),
    ],
)
def test_keys_must_fit_together(overlay: dict[str, Any], line: str) -> None:
    found = problems(overlay)
    assert any(entry.startswith(line) for entry in found), found


@pytest.mark.parametrize("root", [None, "/mnt/disk", "checkpoints", "gs://bucket", "s3://bucket/path"])
def test_checkpoints_go_to_a_folder_or_a_bucket(root: str | None) -> None:
    assert problems({"train": {"checkpoint_root": root}}) == []


def test_the_best_step_may_be_merged_where_rows_are_held_out() -> None:
    assert problems({"merge": {"step": "best"}, "train": {"held_out_rows": 16}}) == []


def test_a_context_may_fill_the_model_length_exactly() -> None:
    assert problems({"bench": {"contexts": [{"input_tokens": 500, "output_tokens": 12}]}}) == []


def test_a_price_that_an_arm_needs_must_be_known() -> None:
    found = problems({"cost": {"price": "commitment_3_years"}})
    assert found[0] == (
        "arms[0].serve.hardware: found no commitment_3_years price of laptop in resources/hardware.yaml, expected one, "
        "since cost.price asks for it; there is on_demand, spot"
    )


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        ({"price": "reserved"}, "cost.price: found the text 'reserved', expected one of on_demand, spot"),
        (
            {"regions": {"laptop": "mars-1"}},
            "cost.regions.laptop: found 'mars-1', expected a region where laptop has a price of kind on_demand in "
            "resources/hardware.yaml: us-central1, us-east4, us-east5, europe-west4",
        ),
        (
            {"price": "commitment_1_year", "regions": {"laptop": "us-central1"}},
            "cost.regions.laptop: found 'us-central1', expected a region where laptop has a price of kind "
            "commitment_1_year in resources/hardware.yaml: there is none",
        ),
        (
            {"regions": {"tpu-v6-8": "us-east5"}},
            "cost.regions.tpu-v6-8: unknown hardware, expected an entry of resources/hardware.yaml; "
            "did you mean tpu-v6e-8?",
        ),
        (
            {"sensitivity": {"price_factors": [2, 0.5]}},
            "cost.sensitivity.price_factors: found 2 and 0.5, expected a low and a higher end",
        ),
        (
            {"sensitivity": {"utilisations": [0, 1]}},
            "cost.sensitivity.utilisations[0]: found 0, expected a number above 0",
        ),
        ({"utilisation": 1.5}, "cost.utilisation: found 1.5, expected a number above 0 and at most 1"),
        ({"output_tokens_millions": []}, "cost.output_tokens_millions: found a list of 0, expected a list that is not"),
        ({"interruptions_per_hour": -1}, "cost.interruptions_per_hour: found -1, expected a number"),
        ({"regions": {"laptop": 3}}, "cost.regions.laptop: found 3, expected text that is not empty (region)"),
    ],
)
def test_prices_that_cannot_be_paid_are_one_line_each(cost: dict[str, Any], line: str) -> None:
    found = problems({"cost": cost})
    assert found[0].startswith(line), found


def price(**changes: Any) -> dict[str, Any]:
    """An overlay of the laptop that leaves it one price, changed."""
    return {"prices": [{**HARDWARE["laptop"]["prices"][0], **changes}]}


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (price(per_hour=0), "laptop.prices[0].per_hour: found 0, expected a number above 0"),
        (price(per_hour=-1), "laptop.prices[0].per_hour: found -1, expected a number above 0"),
        (price(per_hour=None), "laptop.prices[0].per_hour: found null, expected a number above 0"),
        (price(per_hour=float("nan")), "laptop.prices[0].per_hour: found nan, expected a number above 0"),
        (
            price(currency="EUR"),
            "laptop.prices[0].currency: found the text 'EUR', expected USD (prices are compared and never converted)",
        ),
        (
            price(kind="preemptible"),
            "laptop.prices[0].kind: found the text 'preemptible', expected one of on_demand, spot",
        ),
        (price(region=""), "laptop.prices[0].region: found the text '', expected text"),
        ({"prices": []}, "laptop.prices: found a list of 0, expected a list that is not empty"),
        ({"kind": "npu"}, "laptop.kind: found the text 'npu', expected one of cpu, gpu, tpu"),
        ({"hbm_gb": 80}, "laptop.hbm_gb: unknown key; did you mean hbm_gib? (accelerator memory a chip;"),
        (price(date=datetime.date(2026, 1, 1)), "laptop.prices[0].date: found 2026-01-01, expected text"),
    ],
)
def test_hardware_mistakes_name_the_file_and_the_entry(entry: dict[str, Any], line: str) -> None:
    (found,) = problems({}, {"laptop": entry})
    assert found.startswith(f"resources/hardware.yaml: {line}")


def test_a_hardware_name_must_fit_a_file_name() -> None:
    (found,) = problems({}, {"a/b": HARDWARE["laptop"]})
    assert found.startswith("resources/hardware.yaml: 'a/b': not a name")


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), lambda x: st.lists(x, max_size=2)))
def test_any_wrong_value_gives_lines_and_never_a_crash(value: Any) -> None:
    for key in ("train", "arms", "seeds"):
        assert schema_problems({**CONFIG, key: value}, "config.schema.json")
