"""The configuration is strict: every mistake is one line with the key's path, what was found and what was expected."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.config import schema_problems, validate_config
from scripts.common.errors import UserError
from tests.unit.common.configs import CONFIG, HARDWARE, PAPER, SHIPPED, arms, merged, problems


def test_the_shipped_configurations_are_valid() -> None:
    validate_config(SHIPPED, HARDWARE)
    validate_config(merged(SHIPPED, PAPER), HARDWARE)


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
        ({"run": 2026}, "run: found 2026, expected a name (name of the run;"),
        (
            {"verilog": {"min_icarus": 12.0}},
            "verilog.min_icarus: found 12.0, expected a version in quotes or null (lowest version of Icarus Verilog "
            'that will do, such as "12.0"; null for any); YAML reads this as a number, 12.10 as 12.1: put it in quotes',
        ),
        (
            {"verilog": {"min_icarus": "v12"}},
            "verilog.min_icarus: found the text 'v12', expected a version in quotes or null",
        ),
        (
            {"verilog": {"problems_sha256": "12"}},
            "verilog.problems_sha256: found the text '12', expected 64 hexadecimal digits or null",
        ),
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


@pytest.mark.parametrize("version", ["12", "12.0", "12.10", None])
def test_a_version_in_quotes_is_accepted(version: str | None) -> None:
    assert problems({"verilog": {"min_icarus": version}}) == []


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


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), lambda x: st.lists(x, max_size=2)))
def test_any_wrong_value_gives_lines_and_never_a_crash(value: Any) -> None:
    for key in ("train", "arms", "seeds"):
        assert schema_problems({**CONFIG, key: value}, "config.schema.json")
