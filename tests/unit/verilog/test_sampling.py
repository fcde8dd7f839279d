"""Which samples are wanted, with which seeds, and which are there."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.chat_format import ChatFormat
from scripts.common.problems import Problem
from scripts.verilog.prompts import PromptStyle
from scripts.verilog.sampling import (
    SampleStore,
    Sampling,
    batches,
    sample_seed,
    samples_fingerprint,
    summary_of,
    wanted,
)

PROBLEMS = [Problem("Prob002_b", "do b", "", ""), Problem("Prob001_a", "do a", "", "")]
SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_new_tokens=64, seed=0)
MODEL = {"files": {"model.safetensors": {"size_bytes": 3, "sha256": "aa"}}}
PLAIN = PromptStyle("problem", 0)
SERVER = {"dtype": "float32", "startup_timeout_sec": 300}


def row(problem: str, sample: int) -> dict[str, Any]:
    return {"problem": problem, "sample": sample, "text": "é\nx"}


@given(st.integers(0, 2**40), st.text(), st.integers(0, 1000))
def test_a_seed_fits_every_server(seed: int, problem: str, sample: int) -> None:
    assert 0 <= sample_seed(seed, problem, sample) < 2**31


def test_seeds_are_fixed_and_differ() -> None:
    assert sample_seed(0, "Prob001_zero", 0) == 2063781114
    seeds = {sample_seed(seed, name, sample) for seed in (0, 1) for name in ("a", "b", "a1") for sample in range(50)}
    assert len(seeds) == 300


def test_requests_are_sorted_by_problem_and_sample() -> None:
    requests = wanted(PROBLEMS, PLAIN, 2, seed=0)
    assert [(request.problem, request.sample, request.prompt) for request in requests] == [
        ("Prob001_a", 0, "do a"),
        ("Prob001_a", 1, "do a"),
        ("Prob002_b", 0, "do b"),
        ("Prob002_b", 1, "do b"),
    ]


def test_more_samples_leave_the_first_as_they_were() -> None:
    assert [request for request in wanted(PROBLEMS, PLAIN, 5, seed=0) if request.sample < 2] == wanted(
        PROBLEMS, PLAIN, 2, seed=0
    )


@pytest.mark.parametrize(
    "changes", [{"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_new_tokens": 0}], ids=str
)
def test_impossible_sampling_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="temperature must be"):
        dataclasses.replace(SAMPLING, **changes)


def key(**changes: Any) -> str:
    values = {
        "model": MODEL,
        "chat": ChatFormat("model", None),
        "sampling": SAMPLING,
        "engine": SERVER,
    }
    problems, style = changes.pop("problems", PROBLEMS), changes.pop("style", PLAIN)
    return samples_fingerprint(**{**values, **changes}, requests=wanted(problems, style, changes.pop("samples", 2), 0))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"files": {"model.safetensors": {"size_bytes": 3, "sha256": "bb"}}}},
        {"sampling": dataclasses.replace(SAMPLING, temperature=0.2)},
        {"sampling": dataclasses.replace(SAMPLING, seed=1)},
        {"chat": ChatFormat("paper", None)},
        {"chat": ChatFormat("model", "Write Verilog.")},
        {"engine": {**SERVER, "dtype": "bfloat16"}},
        {"problems": [PROBLEMS[0], dataclasses.replace(PROBLEMS[1], prompt="do a well")]},
        {"style": PromptStyle("verilog_eval", 0)},
        {"style": PromptStyle("problem", 1)},
    ],
)
def test_what_determines_a_sample_changes_the_key(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": {**SERVER, "startup_timeout_sec": 900}},
        {"problems": PROBLEMS[::-1]},
        {"problems": [PROBLEMS[0], dataclasses.replace(PROBLEMS[1], test="another bench")]},
        {"model": {"files": MODEL["files"], "note": "x"}},
    ],
)
def test_what_does_not_leaves_it(changes: dict[str, Any]) -> None:
    assert key(**changes) == key()


def test_the_store_finds_what_it_kept(tmp_path: Path) -> None:
    SampleStore(tmp_path / "state/samples.jsonl").append(row("Prob001_a", 1))
    store = SampleStore(tmp_path / "state/samples.jsonl")
    assert store.rows == {("Prob001_a", 1): row("Prob001_a", 1)}
    assert [(r.problem, r.sample) for r in store.missing(wanted(PROBLEMS, PLAIN, 2, 0))] == [
        ("Prob001_a", 0),
        ("Prob002_b", 0),
        ("Prob002_b", 1),
    ]


def test_more_samples_keep_the_key() -> None:
    values: dict[str, Any] = {"model": MODEL, "chat": ChatFormat("model", None), "sampling": SAMPLING, "engine": SERVER}
    assert len({samples_fingerprint(**values, requests=wanted(PROBLEMS, PLAIN, count, 0)) for count in (1, 7)}) == 1


@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 9))
def test_a_batch_has_one_seed_and_no_batch_changes_with_more_samples(problems: int, samples: int, size: int) -> None:
    names = [Problem(f"Prob{number:03}_x", "do", "", "") for number in range(problems)]
    found = batches(wanted(names, PLAIN, samples, 0), size)
    assert all(len({request.seed for request in batch}) == 1 and len(batch) <= size for batch in found)
    assert len({batch[0].seed for batch in found}) == len(found)
    keys = sorted((request.problem, request.sample) for batch in found for request in batch)
    assert keys == [(request.problem, request.sample) for request in wanted(names, PLAIN, samples, 0)]
    assert batches(wanted(names, PLAIN, samples + 1, 0), size)[: len(found)] == found


def test_the_record_counts_ends_and_tokens() -> None:
    rows = [
        {"engine": "vllm 1", "finish_reason": "stop", "completion_tokens": 4},
        {"engine": "vllm 2", "finish_reason": "length", "completion_tokens": 10},
        {"engine": "vllm 1", "finish_reason": "stop", "completion_tokens": 1},
    ]
    assert summary_of(rows) == {
        "samples": 3,
        "engines": {"vllm 1": 2, "vllm 2": 1},
        "finish_reasons": {"length": 1, "stop": 2},
        "completion_tokens": {"total": 15, "mean": 5.0, "most": 10},
    }
