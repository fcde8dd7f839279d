"""References first, then every distinct candidate once: from answers to rows of verdicts."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from scripts.common.errors import UserError
from scripts.common.files import file_lock
from scripts.common.icarus import Workers, WorkerSettings, icarus_workers
from scripts.common.jsonl_store import JsonlStore
from scripts.common.problems import Problem
from scripts.verilog import letters
from scripts.verilog.bench import TOP, HiddenBench, hide, new_nonces
from scripts.verilog.extract import extract_module
from scripts.verilog.icarus import Expectation, Harness, Judgement
from scripts.verilog.prompts import interface
from scripts.verilog.verdicts import Verdict
from scripts.verilog.workers import Task, judge_all

REFERENCE_MODULE = "RefModule"
Key = tuple[str, str]  # problem and sha256 of the candidate's text
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
    """`rows` are the verdicts in the order of the answers, `failures` the candidates that do not pass with what
    compiler and simulator said, `references` the check of each problem's own reference, `simulations` the number of
    distinct candidates."""

    rows: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    references: list[dict[str, Any]]
    simulations: int


def evaluate(
    problems: Sequence[Problem], answers: Sequence[Answer], settings: WorkerSettings, jobs: int, state: Path
) -> Evaluation:
    """Judges `answers`, each to one of `problems`, `jobs` at a time.

    A judgement is kept in the folder `state` the moment it is there; a run that was killed makes only the others.
    Raises UserError if no reference passes.
    """
    interfaces = {problem.name: interface(problem.prompt) for problem in problems}
    codes = {
        (answer.problem, answer.sample): extract_module(answer.text, interfaces[answer.problem]) for answer in answers
    }
    with file_lock(state / "lock"), icarus_workers(settings.sandboxed, jobs) as workers:
        store = JsonlStore[Key](state / "judgements.jsonl", lambda row: (row["problem"], row["sha256"]))
        harness = Harness(workers.sandbox, settings.timeout_sec, settings.memory_bytes)
        benches, references = check_references(problems, workers, harness)
        if all(judgement.verdict != Verdict.PASS for judgement in references.values()):
            name, first = min(references.items())
            raise UserError(
                f"verilog.problems: none of the {len(references)} references passes its own bench here, so that no "
                f"score would mean anything; {name}: {first.verdict.value}: {first.detail}"
            )
        wanted = {
            candidate_key(name, code): Task(code, benches[name], expectation(references[name]))
            for (name, _), code in codes.items()
            if code is not None and references[name].verdict == Verdict.PASS
        }
        missing = {key: task for key, task in wanted.items() if key not in store.rows}
        done = len(wanted) - len(missing)
        for key, judgement in shown(judge_all(missing.items(), workers, harness), len(wanted), "simulate", done):
            store.append({"problem": key[0], "sha256": key[1], **_stored(judgement)})
        results = {key: _restored(store.rows[key]) for key in wanted}
    rows: list[dict[str, Any]] = []
    failed: dict[Key, dict[str, Any]] = {}
    for answer in answers:
        code = codes[answer.problem, answer.sample]
        judgement = judgement_of(answer, code, references[answer.problem], results)
        rows.append(_row(answer, judgement))
        if code is None or judgement.verdict in (Verdict.PASS, Verdict.UNSOLVABLE):
            continue
        entry = failed.setdefault(candidate_key(answer.problem, code), _failure(answer.problem, code, judgement))
        entry["samples"].append(answer.sample)
    references_shown = [_reference_row(name, references[name]) for name in sorted(references)]
    return Evaluation(rows, list(failed.values()), references_shown, len(wanted))


def candidate_key(problem: str, code: str) -> Key:
    return problem, hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()


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


def shown(items: Iterable[Item], total: int, what: str, done: int = 0) -> Iterable[Item]:
    """`items` with a progress bar, of which `done` are behind already."""
    return tqdm(items, total=total, initial=done, desc=what, unit="module", mininterval=1)


def reference_as_candidate(problem: Problem) -> str:
    """The reference's text with its module named as the candidate's."""
    return re.sub(rf"\b{REFERENCE_MODULE}\b", TOP, problem.reference)


def expectation(reference: Judgement) -> Expectation:
    """What a candidate must match, from a reference that passes."""
    assert reference.samples is not None
    assert reference.compiled is not None
    return Expectation(reference.samples, reference.compiled)


def judgement_of(answer: Answer, code: str | None, reference: Judgement, results: Mapping[Key, Judgement]) -> Judgement:
    if reference.verdict != Verdict.PASS:
        return Judgement(Verdict.UNSOLVABLE, f"the reference itself: {reference.verdict.value}: {reference.detail}")
    if code is not None:
        return results[candidate_key(answer.problem, code)]
    if answer.finish_reason == "length":
        return Judgement(Verdict.TRUNCATED, f"the answer was cut off before a complete module {TOP}")
    return Judgement(Verdict.NO_MODULE, f"no complete module {TOP} in the answer")


def disagreements(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of verdicts that pass here and not by VerilogEval's own rules, or the other way round."""
    return [
        {key: row[key] for key in ("problem", "sample", "verdict", "detail", "verilog_eval")}
        for row in rows
        if row["verilog_eval"] is not None and (row["verdict"] == Verdict.PASS) != (row["verilog_eval"] == letters.PASS)
    ]


def _stored(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict.value,
        "detail": judgement.detail,
        "samples": judgement.samples,
        "letter": judgement.letter,
        "log": "" if judgement.verdict == Verdict.PASS else judgement.log,
    }


def _restored(row: Mapping[str, Any]) -> Judgement:
    return Judgement(Verdict(row["verdict"]), row["detail"], row["samples"], row["letter"], row["log"])


def _row(answer: Answer, judgement: Judgement) -> dict[str, Any]:
    return {
        "problem": answer.problem,
        "sample": answer.sample,
        "verdict": judgement.verdict.value,
        "detail": judgement.detail,
        "verilog_eval": judgement.letter,
        "finish_reason": answer.finish_reason,
    }


def _failure(problem: str, code: str, judgement: Judgement) -> dict[str, Any]:
    return {
        "problem": problem,
        "samples": [],
        "verdict": judgement.verdict.value,
        "detail": judgement.detail,
        "code": code,
        "log": judgement.log,
    }


def _reference_row(name: str, judgement: Judgement) -> dict[str, Any]:
    return {
        "problem": name,
        "verdict": judgement.verdict.value,
        "detail": judgement.detail,
        "verilog_eval": judgement.letter,
        "samples_checked": judgement.samples if judgement.verdict == Verdict.PASS else None,
    }
