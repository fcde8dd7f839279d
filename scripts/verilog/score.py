"""Scores one model: unbiased pass@k over the problems with its interval, the ceiling, and what became of the samples,
in all, by problem and by the kind of circuit, and by VerilogEval's own rules."""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, read_jsonl, write_json
from scripts.common.problems import read_problems
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.verilog.categories import category
from scripts.verilog.intervals import Resampling, mean_with_interval
from scripts.verilog.pass_at_k import mean_pass_at_k, pass_at_k
from scripts.verilog.verdicts import VERDICTS, Verdict


@dataclasses.dataclass(frozen=True)
class ScoreSettings:
    """Whose score it is, the values of k, and how intervals are made."""

    arm: str
    seed: int
    pass_at_k: tuple[int, ...]
    resampling: Resampling


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of ScoreSettings")
    parser.add_argument("--verdicts", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="report of the simulations")
    parser.add_argument("--generation", type=Path, required=True, help="record of the samples' generation")
    parser.add_argument("--problems", type=Path, required=True, help="folder in VerilogEval's layout")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


def count_by_problem(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """{"problem": {"passed": .., "samples": ..}}, sorted by problem."""
    samples: collections.Counter[str] = collections.Counter()
    passed: collections.Counter[str] = collections.Counter()
    for row in rows:
        samples[row["problem"]] += 1
        passed[row["problem"]] += row["verdict"] == Verdict.PASS
    return {name: {"passed": passed[name], "samples": samples[name]} for name in sorted(samples)}


def count_by_category(rows: Sequence[Mapping[str, Any]], categories: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """{"category": {"problems": .., "samples": .., "passed": .., "verdict_counts": ..}}, sorted by category."""
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(set(categories.values())):
        members = [row for row in rows if categories[row["problem"]] == name]
        verdicts = collections.Counter(row["verdict"] for row in members)
        found[name] = {
            "problems": len({row["problem"] for row in members}),
            "samples": len(members),
            "passed": verdicts[Verdict.PASS],
            "verdict_counts": _in_order(verdicts),
        }
    return found


def score(
    rows: Sequence[Mapping[str, Any]], ks: Sequence[int], categories: Mapping[str, str], resampling: Resampling
) -> dict[str, Any]:
    """The numbers of a score, from the rows of verdicts and the category of each of their problems.

    Raises ValueError without rows, for an unknown verdict, for problems with different numbers of samples, and for a k
    above that number.
    """
    if strange := {row["verdict"] for row in rows} - set(VERDICTS):
        raise ValueError(f"unknown verdict {min(strange)!r}")
    by_problem = count_by_problem(rows)
    sizes = {counts["samples"] for counts in by_problem.values()}
    if len(sizes) != 1:
        raise ValueError(f"every problem needs the same number of samples, found {sorted(sizes) or 'no problem'}")
    samples = sizes.pop()
    if ks and max(ks) > samples:
        raise ValueError(f"pass@{max(ks)} needs {max(ks)} samples a problem, found {samples}")
    passed = [counts["passed"] for counts in by_problem.values()]
    return {
        "problems": len(by_problem),
        "samples_per_problem": samples,
        "samples_passed": sum(passed),
        "pass_at_k": {str(k): mean_pass_at_k(passed, samples, k) for k in ks},
        "pass_at_k_interval": {str(k): _interval(passed, samples, k, resampling) for k in ks},
        "problems_solved": sum(count > 0 for count in passed),
        "samples_cut_off": sum(row["finish_reason"] == "length" for row in rows),
        "verdict_counts": _in_order(collections.Counter(row["verdict"] for row in rows)),
        "by_problem": {name: {**counts, "category": categories[name]} for name, counts in by_problem.items()},
        "by_category": count_by_category(rows, categories),
    }


def _interval(passed: Sequence[int], samples: int, k: int, resampling: Resampling) -> dict[str, float]:
    values = np.array([pass_at_k(samples, count, k) for count in passed])
    estimate = mean_with_interval(values, resampling)
    return {"level": resampling.level, "low": estimate.low, "high": estimate.high}


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """How often each verdict fell, in the order of the vocabulary; those that did not are left out."""
    return {verdict: counts[verdict] for verdict in VERDICTS if counts.get(verdict)}


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(ScoreSettings, args.settings)
    report = read_json(args.report)
    categories = {problem.name: category(problem.reference).value for problem in read_problems(args.problems)}
    rows = list(read_jsonl(args.verdicts))
    if strange := sorted({row["problem"] for row in rows} - categories.keys()):
        raise UserError(f"{args.verdicts}: {strange[0]}: no such problem in {args.problems}; run the simulation again")
    try:
        numbers = score(rows, settings.pass_at_k, categories, settings.resampling)
    except ValueError as error:
        raise UserError(f"{args.verdicts}: {error}") from None
    unsolvable = [entry["problem"] for entry in report["references"] if entry["verdict"] != Verdict.PASS]
    payload = {
        "arm": settings.arm,
        "seed": settings.seed,
        **numbers,
        "verilog_eval_counts": report["verilog_eval_counts"],
        "disagreements": report["disagreements"],
        "unsolvable_problems": unsolvable,
        "ceiling": 1 - len(unsolvable) / numbers["problems"],
        "engines": read_json(args.generation)["engines"],
        "icarus_version": report["icarus_version"],
        "provenance": provenance("scripts.verilog.score", dataclasses.asdict(settings)),
    }
    write_json(args.output, payload)
    print(
        f"{settings.arm}, seed {settings.seed}: "
        + ", ".join(f"pass@{k} {v:.4f}" for k, v in numbers["pass_at_k"].items())
        + f" of at most {payload['ceiling']:.4f}"
    )


if __name__ == "__main__":
    main()
