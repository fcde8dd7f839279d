"""Judges every sample: its module against the reference in the problem's own bench, by Icarus Verilog in a sandbox.

First each problem's reference runs through the same harness: it shows whether the problem can be solved on this
simulator and how many samples its bench checks. Identical modules of a problem are simulated once, and a run that was
killed goes on. VerilogEval's own letter stands beside each verdict; the report lists where the two disagree.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from scripts.common.code_hash import code_hash
from scripts.common.errors import UserError, entry_point
from scripts.common.files import fingerprint, read_jsonl, write_json, write_jsonl
from scripts.common.icarus import WorkerSettings, icarus_version
from scripts.common.problems import Problem, read_problems
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.verilog.evaluation import Answer, disagreements, evaluate
from scripts.verilog.letters import PASS
from scripts.verilog.verdicts import Verdict


@dataclasses.dataclass(frozen=True)
class SimulateSettings:
    """Limits of compiler and simulator, each (processor time); `unsafe_no_sandbox` runs the code without bubblewrap;
    `min_icarus` is the lowest version of Icarus Verilog that will do, None for any."""

    simulation_timeout_sec: float
    simulation_memory_mib: int
    unsafe_no_sandbox: bool
    min_icarus: str | None

    def __post_init__(self) -> None:
        if self.simulation_timeout_sec <= 0 or self.simulation_memory_mib < 1:
            raise ValueError("simulation_timeout_sec and simulation_memory_mib must be positive")

    def workers(self) -> WorkerSettings:
        memory_bytes = self.simulation_memory_mib << 20
        return WorkerSettings(self.simulation_timeout_sec, memory_bytes, sandboxed=not self.unsafe_no_sandbox)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of SimulateSettings")
    parser.add_argument("--problems", type=Path, required=True, help="folder in VerilogEval's layout")
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--verdicts", type=Path, required=True, help="output, one row a sample")
    parser.add_argument("--failures", type=Path, required=True, help="output: failing modules with their logs")
    parser.add_argument("--state", type=Path, required=True, help="folder of side folders with finished judgements")
    parser.add_argument("--report", type=Path, required=True, help="output: simulator, references, provenance")
    parser.add_argument("--jobs", type=int, default=1, help="simulations at a time")
    return parser.parse_args(argv)


def read_answers(path: Path, problems: Sequence[Problem]) -> list[Answer]:
    """The samples in `path`, of which there must be some for each of the problems and none for another."""
    answers = [Answer(row["problem"], row["sample"], row["text"], row["finish_reason"]) for row in read_jsonl(path)]
    known = {problem.name for problem in problems}
    answered = {answer.problem for answer in answers}
    if strange := sorted(answered ^ known):
        where = "has samples of it, the folder no such problem" if strange[0] in answered else "has no sample of it"
        raise UserError(f"{path}: {strange[0]}: this file {where}; run the generation again")
    return answers


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(SimulateSettings, args.settings)
    problems = read_problems(args.problems)
    answers = read_answers(args.samples, problems)
    version = icarus_version(settings.min_icarus)
    workers = settings.workers()
    decides = {
        "problems": [dataclasses.asdict(problem) for problem in problems],
        "icarus_version": version,
        "workers": dataclasses.asdict(workers),
        "code": code_hash("scripts.verilog.evaluation"),
    }
    evaluation = evaluate(problems, answers, workers, args.jobs, args.state / fingerprint(decides))
    write_jsonl(args.verdicts, evaluation.rows)
    write_jsonl(args.failures, evaluation.failures)
    counts = collections.Counter(row["verdict"] for row in evaluation.rows)
    letters = collections.Counter(row["verilog_eval"] for row in evaluation.rows if row["verilog_eval"])
    unsolvable = [row["problem"] for row in evaluation.references if row["verdict"] != Verdict.PASS]
    report = {
        "icarus_version": version,
        "sandboxed": workers.sandboxed,
        "problems": len(problems),
        "samples": len(answers),
        "simulations": evaluation.simulations,
        "verdict_counts": dict(sorted(counts.items())),
        "verilog_eval_counts": dict(sorted(letters.items())),
        "ceiling": (len(problems) - len(unsolvable)) / len(problems),
        "disagreements": disagreements(evaluation.rows),
        "references": evaluation.references,
        "provenance": provenance("scripts.verilog.simulate", dataclasses.asdict(settings)),
    }
    write_json(args.report, report)
    print(
        f"{counts['pass']} of {len(answers)} samples pass, {letters[PASS]} by VerilogEval's own rules; "
        f"{dict(sorted(counts.items()))}; Icarus {version} can solve {len(problems) - len(unsolvable)} of "
        f"{len(problems)} problems" + (f", not {', '.join(unsolvable)}" if unsolvable else "")
    )


if __name__ == "__main__":
    main()
