"""Scores one model: unbiased pass@k over the problems, each problem's count and how often each verdict fell."""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, read_jsonl, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.verilog.pass_at_k import mean_pass_at_k
from scripts.verilog.verdicts import VERDICTS, Verdict


@dataclasses.dataclass(frozen=True)
class ScoreSettings:
    """Whose score it is, and the values of k."""

    arm: str
    seed: int
    pass_at_k: tuple[int, ...]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of ScoreSettings")
    parser.add_argument("--verdicts", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="report of the simulations")
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


def score(rows: Sequence[Mapping[str, Any]], ks: Sequence[int]) -> dict[str, Any]:
    """The numbers of a score, from the rows of verdicts.

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
    verdicts = collections.Counter(row["verdict"] for row in rows)
    return {
        "problems": len(by_problem),
        "samples_per_problem": samples,
        "samples_passed": sum(passed),
        "pass_at_k": {str(k): mean_pass_at_k(passed, samples, k) for k in ks},
        "problems_solved": sum(count > 0 for count in passed),
        "verdict_counts": {verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
        "by_problem": by_problem,
    }


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(ScoreSettings, args.settings)
    report = read_json(args.report)
    try:
        numbers = score(list(read_jsonl(args.verdicts)), settings.pass_at_k)
    except ValueError as error:
        raise UserError(f"{args.verdicts}: {error}") from None
    unsolvable = [entry["problem"] for entry in report["references"] if entry["verdict"] != Verdict.PASS]
    payload = {
        "arm": settings.arm,
        "seed": settings.seed,
        **numbers,
        "unsolvable_problems": unsolvable,
        "icarus_version": report["icarus_version"],
        "provenance": provenance("scripts.verilog.score", dataclasses.asdict(settings)),
    }
    write_json(args.output, payload)
    print(
        f"{settings.arm}, seed {settings.seed}: "
        + ", ".join(f"pass@{k} {v:.4f}" for k, v in numbers["pass_at_k"].items())
    )


if __name__ == "__main__":
    main()
