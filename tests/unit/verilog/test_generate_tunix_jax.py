"""Offline generation with Tunix's sampler: the tokens of a full forward pass of the miniature, resumed batches."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from flax import nnx
from transformers import AutoTokenizer

from scripts.common.chat_format import ChatFormat
from scripts.common.files import read_jsonl, write_manifest
from scripts.common.jax_platform import MeshShape
from scripts.common.tunix_step import document_mask
from scripts.verilog import generate_tunix, tunix_sampler
from scripts.verilog.sampling import Request, Sampling
from scripts.verilog.tunix_sampler import BatchSampler, end_tokens
from tests.unit.common.tools import ROOT
from tests.unit.verilog.tools import SCHEMAS

MODEL = ROOT / "resources/mini/model"
CHAT = ChatFormat("model", None)
LONGEST = 12  # tokens
PROMPTS = ["Write the Verilog module TopModule with the ports\n - input a\n - output y\n\ny is a.", "Say it."]


def sampler(temperature: float) -> BatchSampler:
    made = BatchSampler(MODEL, MeshShape(1, 1), "float32", CHAT, Sampling(temperature, 0.95, LONGEST, seed=0))
    made.prepare(PROMPTS, batch_size=3)
    return made


@pytest.fixture(scope="module")
def greedy() -> BatchSampler:
    return sampler(0.0)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODEL)


def requests(seed: int = 7) -> list[Request]:
    return [Request(f"Prob{number:03}_x", 0, prompt, seed) for number, prompt in enumerate(PROMPTS)]


def test_greedy_answers_are_those_of_a_forward_pass_without_cache_or_padding(
    greedy: BatchSampler, tokenizer: Any
) -> None:
    @nnx.jit
    def likeliest(model: nnx.Module, tokens: jax.Array) -> jax.Array:
        positions = jnp.arange(tokens.shape[1])[None]
        return model(tokens, positions, None, document_mask(jnp.ones_like(tokens)))[0][0].argmax(-1)

    for prompt, answer in zip(PROMPTS, greedy.draw(requests()), strict=True):
        before = tokenizer.encode(CHAT.generation_prompt(tokenizer, prompt), add_special_tokens=False)
        expected = likeliest(greedy._model, jnp.array([before + answer]))[len(before) - 1 :].tolist()
        assert answer == expected[:-1]
        assert len(answer) == LONGEST or expected[-1] in end_tokens(MODEL, tokenizer, "<turn|>")


def test_a_seed_gives_the_same_answers_and_another_others_also_in_a_short_batch() -> None:
    made = sampler(1.0)
    first = made.sample(requests())
    assert made.sample(requests()) == first
    assert [row["text"] for row in made.sample(requests(seed=8))] != [row["text"] for row in first]
    assert [(row["problem"], row["seed"]) for row in made.sample(requests()[:1])] == [("Prob000_x", 7)]


def test_an_answer_that_reaches_its_longest_is_cut_off(greedy: BatchSampler) -> None:
    whole, cut = greedy.ending([9] * (LONGEST - 1)), greedy.ending([9] * LONGEST)
    assert (whole["finish_reason"], whole["completion_tokens"]) == ("stop", LONGEST)
    assert (cut["finish_reason"], cut["completion_tokens"]) == ("length", LONGEST)


def test_a_marker_of_several_tokens_ends_the_answer_too(greedy: BatchSampler, tokenizer: Any) -> None:
    tokens = tokenizer.encode("endmodule<turn|>", add_special_tokens=False)[:-1]
    marker, greedy._marker = greedy._marker, tokenizer.decode(tokens[-1:])
    filled = [tokens[-1]] * (LONGEST - len(tokens))
    ending = greedy.ending([*tokens, *filled])
    greedy._marker = marker
    assert ending["finish_reason"] == "stop"
    assert ending["text"] == tokenizer.decode(tokens[:-1])


def test_vllm_and_tunix_end_at_the_same_tokens(tokenizer: Any) -> None:
    assert end_tokens(MODEL, tokenizer, "<turn|>") == [1, 5]


class Step:
    """The entry script on two problems of the miniature, with a sampler that only counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[list[Request]] = []
        self.fails_after = 10**6
        (folder / "problems").mkdir()
        for path in sorted((ROOT / "resources/mini/problems").glob("Prob00[1-3]_*")):
            shutil.copy(path, folder / "problems")
        shutil.copytree(MODEL, folder / "model")
        write_manifest(folder / "model")

    def prepare(self, *_: object) -> None:
        pass

    def sample(self, batch: Sequence[Request]) -> list[dict[str, Any]]:
        if len(self.asked) >= self.fails_after:
            raise KeyboardInterrupt
        self.asked.append(list(batch))
        return [
            {"problem": r.problem, "sample": r.sample, "seed": r.seed, "text": f"{r.problem} {r.seed}",
             "finish_reason": "stop", "completion_tokens": 2, "engine": "tunix 0"}
            for r in batch
        ]  # fmt: skip

    def run(self, samples: int = 2) -> list[dict[str, Any]]:
        engine = {"hardware": "laptop", "hardware_kind": "cpu", "mesh": {"fsdp": 1, "tp": 1}, "dtype": "float32"}
        settings = {
            "samples_per_problem": samples,
            "chat": {"template": "model", "system_prompt": None},
            "prompt": {"variant": "problem", "examples": 0},
            "sampling": {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 8, "seed": 0},
            "engine": {**engine, "batch_size": 2},
        }
        names = {
            "model": "model/manifest.json",
            "problems": "problems",
            "state": "state",
            "output": "s.jsonl",
            "record": "r.json",
        }
        flags = [text for flag, name in names.items() for text in (f"--{flag}", str(self.folder / name))]
        generate_tunix.main(["--settings", json.dumps(settings), *flags])
        return list(read_jsonl(self.folder / "s.jsonl"))


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    step = Step(tmp_path)
    monkeypatch.setattr(tunix_sampler, "BatchSampler", lambda *_: step)
    return step


def test_every_problem_gets_its_samples_and_a_record(step: Step) -> None:
    rows = step.run()
    for row in rows:
        jsonschema.validate(row, json.loads((SCHEMAS / "sample.schema.json").read_text()))
    assert [row["sample"] for row in rows] == [0, 1] * 3
    record = json.loads((step.folder / "r.json").read_text())
    jsonschema.validate(record, json.loads((SCHEMAS / "generation.schema.json").read_text()))
    assert record["engines"] == {"tunix 0": 6}


def test_after_a_kill_only_the_missing_batches_are_made(step: Step) -> None:
    step.fails_after = 3
    with pytest.raises(KeyboardInterrupt):
        step.run()
    assert not (step.folder / "s.jsonl").exists()
    (kept,) = step.folder.glob("state/*/samples.jsonl")
    # As if the kill had come between the two rows of the third batch.
    kept.write_text("".join(kept.read_text().splitlines(keepends=True)[:4]))
    step.fails_after, step.asked = 10**6, []
    rows = step.run()
    assert len(rows) == 6
    assert [len(batch) for batch in step.asked] == [2, 1]
    whole = {(r.problem, r.sample): r.seed for batch in step.asked for r in batch}
    assert all(row["seed"] == whole.get((row["problem"], row["sample"]), row["seed"]) for row in rows)


def test_more_samples_make_the_further_ones_only(step: Step) -> None:
    first = step.run()
    step.asked = []
    rows = step.run(samples=3)
    assert [row for row in rows if row["sample"] < 2] == first
    assert {request.sample for batch in step.asked for request in batch} == {2}
