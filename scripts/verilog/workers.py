"""Judges many candidates at a time, in processes without privileges."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import TypeVar

from scripts.common.icarus import Workers
from scripts.verilog.bench import HiddenBench
from scripts.verilog.icarus import Expectation, Harness, Judgement

Key = TypeVar("Key")


@dataclasses.dataclass(frozen=True)
class Task:
    """A candidate to judge; without an expectation it is a reference."""

    code: str
    bench: HiddenBench
    expected: Expectation | None


def judge_all(tasks: Iterable[tuple[Key, Task]], workers: Workers, harness: Harness) -> Iterator[tuple[Key, Judgement]]:
    """The judgement on each task, with its key, in the order in which they are ready."""
    return workers.run(functools.partial(_judge, harness), tasks)


def _judge(harness: Harness, task: Task) -> Judgement:
    judgement = harness.judge(task.code, task.bench, task.expected)
    # The program's text is large and of no use to the caller.
    compiled = judgement.compiled and dataclasses.replace(judgement.compiled, program="")
    return dataclasses.replace(judgement, compiled=compiled)
