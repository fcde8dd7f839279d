"""Which samples are wanted, with which seeds, and which of them are there: pure bookkeeping and the side file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.chat_format import ChatFormat
from scripts.common.files import fingerprint
from scripts.common.jsonl_store import JsonlStore
from scripts.common.problems import Problem

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


def wanted(problems: Sequence[Problem], samples_per_problem: int, seed: int) -> list[Request]:
    """All requests, sorted by problem and sample."""
    return [
        Request(problem.name, sample, problem.prompt, sample_seed(seed, problem.name, sample))
        for problem in sorted(problems, key=lambda problem: problem.name)
        for sample in range(samples_per_problem)
    ]


def samples_fingerprint(
    model: Mapping[str, Any],
    chat: ChatFormat,
    sampling: Sampling,
    server: Mapping[str, Any],
    problems: Sequence[Problem],
) -> str:
    """Key of the side folder: everything that a sample depends on. `model` is the model's manifest; of the `server` its
    patience is left out. The number of samples is no part of it: asking for more keeps those there are."""
    return fingerprint(
        {
            "model": {name: entry["sha256"] for name, entry in model["files"].items()},
            "chat": dataclasses.asdict(chat),
            "sampling": dataclasses.asdict(sampling),
            "server": {key: value for key, value in server.items() if key != "startup_timeout_sec"},
            "prompts": {problem.name: problem.prompt for problem in problems},
        }
    )


class SampleStore(JsonlStore[SampleKey]):
    """The side file of finished samples."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda row: (row["problem"], row["sample"]))

    def missing(self, requests: Sequence[Request]) -> list[Request]:
        return [request for request in requests if (request.problem, request.sample) not in self.rows]
