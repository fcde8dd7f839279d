"""Which samples are wanted, with which seeds, and which of them are there: pure bookkeeping and the side file."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.chat_format import ChatFormat
from scripts.common.files import fingerprint
from scripts.common.jsonl_store import JsonlStore
from scripts.common.problems import Problem
from scripts.verilog.prompts import PromptStyle, user_text

SampleKey = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How an answer is sampled. `seed` is the base that each request's own seed is derived from."""

    temperature: float
    top_p: float
    max_new_tokens: int
    seed: int

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_new_tokens < 1:
            raise ValueError("temperature must be >= 0, top_p in (0, 1] and max_new_tokens positive")


@dataclasses.dataclass(frozen=True)
class Request:
    """One sample to ask for: the `sample`-th answer to `prompt`, drawn with `seed`."""

    problem: str
    sample: int
    prompt: str
    seed: int


def sample_seed(seed: int, problem: str, sample: int) -> int:
    """The seed of one request, in [0, 2**31): the first 31 bits of sha256 of `seed`, `problem` and `sample`, joined by
    newlines. It depends on no other sample, so more samples or problems leave those there are as they were."""
    digest = hashlib.sha256(f"{seed}\n{problem}\n{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def wanted(problems: Sequence[Problem], style: PromptStyle, samples_per_problem: int, seed: int) -> list[Request]:
    """All requests, sorted by problem and sample."""
    return [
        Request(problem.name, sample, user_text(problem.prompt, style), sample_seed(seed, problem.name, sample))
        for problem in sorted(problems, key=lambda problem: problem.name)
        for sample in range(samples_per_problem)
    ]


def batches(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """`requests` in batches of one sample index each, at most `size` long, for an engine whose draws depend on a whole
    batch: each carries the seed of its first request, and more samples a problem leave the earlier batches alone."""
    by_sample: dict[int, list[Request]] = {}
    for request in requests:
        by_sample.setdefault(request.sample, []).append(request)
    return [
        [dataclasses.replace(request, seed=group[start].seed) for request in group[start : start + size]]
        for _, group in sorted(by_sample.items())
        for start in range(0, len(group), size)
    ]


def samples_fingerprint(
    model: Mapping[str, Any],
    chat: ChatFormat,
    sampling: Sampling,
    engine: Mapping[str, Any],
    requests: Sequence[Request],
) -> str:
    """Key of the side folder: everything that a sample depends on. `model` is the model's manifest; of the `engine`'s
    settings its patience is left out. The number of samples is no part of it: asking for more keeps those there are."""
    return fingerprint(
        {
            "model": {name: entry["sha256"] for name, entry in model["files"].items()},
            "chat": dataclasses.asdict(chat),
            "sampling": dataclasses.asdict(sampling),
            "engine": {key: value for key, value in engine.items() if key != "startup_timeout_sec"},
            "prompts": dict(sorted({request.problem: request.prompt for request in requests}.items())),
        }
    )


class SampleStore(JsonlStore[SampleKey]):
    """The side file of finished samples."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda row: (row["problem"], row["sample"]))

    def missing(self, requests: Sequence[Request]) -> list[Request]:
        return [request for request in requests if (request.problem, request.sample) not in self.rows]


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a record of generation says of its samples: engines, ends, and tokens written."""
    tokens = [row["completion_tokens"] for row in rows]
    return {
        "samples": len(rows),
        "engines": dict(sorted(collections.Counter(row["engine"] for row in rows).items())),
        "finish_reasons": dict(sorted(collections.Counter(row["finish_reason"] for row in rows).items())),
        "completion_tokens": {"total": sum(tokens), "mean": sum(tokens) / len(tokens), "most": max(tokens)},
    }
