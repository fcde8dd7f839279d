"""Which samples are wanted, with which seeds, and which of them are there: pure bookkeeping and the side file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError
from scripts.common.files import fingerprint
from scripts.verilog.problems import Problem

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
    model: Mapping[str, Any], sampling: Sampling, server: Mapping[str, Any], problems: Sequence[Problem]
) -> str:
    """Key of the side folder: everything that a sample depends on. `model` is the model's manifest; of the `server` its
    patience is left out. The number of samples is no part of it: asking for more keeps those there are."""
    return fingerprint(
        {
            "model": {name: entry["sha256"] for name, entry in model["files"].items()},
            "sampling": dataclasses.asdict(sampling),
            "server": {key: value for key, value in server.items() if key != "startup_timeout_sec"},
            "prompts": {problem.name: problem.prompt for problem in problems},
        }
    )


class SampleStore:
    """The side file of finished samples: one JSON line each, appended the moment it is there.

    A last line that a killed writer tore is cut off when the file is opened, and its sample asked for again. Use it
    under a lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: dict[SampleKey, dict[str, Any]] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        for row in self._parse(whole):
            self.rows[row["problem"], row["sample"]] = row

    def _parse(self, content: bytes) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{self.path}:{number}: not a line of JSON ({error}); delete the file") from None

    def append(self, row: dict[str, Any]) -> None:
        """Keeps a finished sample, also over a power cut."""
        with open(self.path, "ab") as handle:
            handle.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        self.rows[row["problem"], row["sample"]] = row

    def missing(self, requests: Sequence[Request]) -> list[Request]:
        return [request for request in requests if (request.problem, request.sample) not in self.rows]
