"""References first, then every distinct candidate once: from answers to rows of verdicts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

from scripts.common.icarus import Workers, WorkerSettings, icarus_workers
from scripts.common.problems import Problem
from scripts.verilog.bench import TOP, HiddenBench, hide, new_nonces
from scripts.verilog.extract import extract_module
from scripts.verilog.icarus import Expectation, Harness, Judgement
from scripts.verilog.verdicts import Verdict
from scripts.verilog.workers import Task, judge_all

REFERENCE_MODULE = "RefModule"
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Answer:
    """One sample as the model wrote it."""

    problem: str
    sample: int
    text: str
    finish_reason: str


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """`rows` are the verdicts in the order of the answers, `references` the check of each problem's own reference,
    `simulations` the number of distinct candidates that were compiled or run."""

    rows: list[dict[str, Any]]
    references: list[dict[str, Any]]
    simulations: int


def evaluate(problems: Sequence[Problem], answers: Sequence[Answer], settings: WorkerSettings, jobs: int) -> Evaluation:
    """Judges `answers`, each to one of `problems`, `jobs` at a time."""
    codes = {(answer.problem, answer.sample): extract_module(answer.text) for answer in answers}
    with icarus_workers(settings.sandboxed, jobs) as workers:
        harness = Harness(workers.sandbox, settings.timeout_sec, settings.memory_bytes)
        benches, judgements = check_references(problems, workers, harness)
        tasks = {
            (name, code): Task(code, benches[name], expectation(judgements[name]))
            for (name, _), code in codes.items()
            if code is not None and judgements[name].verdict == Verdict.PASS
        }
        results = dict(shown(judge_all(tasks.items(), workers, harness), len(tasks), "simulate"))
    rows = []
    for answer in answers:
        code = codes[answer.problem, answer.sample]
        verdict = verdict_of(answer, code, judgements[answer.problem], results)
        rows.append(
            {
                "problem": answer.problem,
                "sample": answer.sample,
                "verdict": verdict.verdict.value,
                "detail": verdict.detail,
                "finish_reason": answer.finish_reason,
            }
        )
    return Evaluation(rows, [_reference_row(name, judgements[name]) for name in sorted(judgements)], len(tasks))


def check_references(
    problems: Sequence[Problem], workers: Workers, harness: Harness
) -> tuple[dict[str, HiddenBench], dict[str, Judgement]]:
    """Each problem's bench under this run's hidden names, and the judgement on its reference run as the candidate."""
    nonces = new_nonces()
    benches: dict[str, HiddenBench] = {}
    judgements: dict[str, Judgement] = {}
    for problem in problems:
        try:
            benches[problem.name] = hide(problem.test, problem.reference, nonces)
        except ValueError as error:
            judgements[problem.name] = Judgement(Verdict.UNSOLVABLE, str(error))
    references = {problem.name: reference_as_candidate(problem) for problem in problems}
    tasks = [(name, Task(references[name], bench, None)) for name, bench in benches.items()]
    judgements.update(shown(judge_all(tasks, workers, harness), len(tasks), "references"))
    return benches, judgements


def shown(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    """`items` with a progress bar."""
    return tqdm(items, total=total, desc=what, unit="module", mininterval=1)


def reference_as_candidate(problem: Problem) -> str:
    """The reference's text with its module named as the candidate's."""
    return re.sub(rf"\b{REFERENCE_MODULE}\b", TOP, problem.reference)


def expectation(reference: Judgement) -> Expectation:
    """What a candidate must match, from a reference that passes."""
    assert reference.samples is not None
    assert reference.compiled is not None
    ports = reference.compiled.ports
    inputs = frozenset(name for name, direction in ports.items() if direction == "INPUT")
    return Expectation(reference.samples, inputs, frozenset(ports))


def verdict_of(
    answer: Answer, code: str | None, reference: Judgement, results: Mapping[tuple[str, str], Judgement]
) -> Judgement:
    if reference.verdict != Verdict.PASS:
        return Judgement(Verdict.UNSOLVABLE, f"the reference itself: {reference.verdict.value}: {reference.detail}")
    if code is not None:
        return results[answer.problem, code]
    if answer.finish_reason == "length":
        return Judgement(Verdict.TRUNCATED, f"the answer was cut off before a complete module {TOP}")
    return Judgement(Verdict.NO_MODULE, f"no complete module {TOP} in the answer")


def _reference_row(name: str, judgement: Judgement) -> dict[str, Any]:
    return {
        "problem": name,
        "verdict": judgement.verdict.value,
        "detail": judgement.detail,
        "samples_checked": judgement.samples,
    }
