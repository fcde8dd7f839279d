"""How good the benches are: mutants of each reference, and the share of them that its own bench finds out.

    python3 envs/launch.py analysis python -m scripts.verilog.measure_benches --problems FOLDER

A mutant that does not compile proves nothing and is not counted. One that passes may be the same circuit in other
words: a rate below 1 is an upper bound of what the bench misses.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.common.errors import entry_point
from scripts.common.files import write_json
from scripts.common.icarus import WorkerSettings, icarus_version, icarus_workers
from scripts.common.problems import Problem, read_problems
from scripts.common.provenance import provenance
from scripts.verilog.evaluation import check_references, expectation, reference_as_candidate, shown
from scripts.verilog.icarus import Harness
from scripts.verilog.mutations import KINDS, Mutant, mutants
from scripts.verilog.verdicts import Verdict
from scripts.verilog.workers import Task, judge_all


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, required=True, help="folder in VerilogEval's layout")
    parser.add_argument("--output", type=Path, default=Path("results/benches.json"))
    parser.add_argument("--mutants", type=int, default=20, help="of each reference, at most (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants")
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time")
    parser.add_argument("--timeout-sec", type=float, default=30, help="processor time of compiler and simulator, each")
    parser.add_argument("--memory-mib", type=int, default=1024, help="of compiler and simulator, each")
    return parser.parse_args(argv)


def judge_mutants(
    problems: Sequence[Problem], limit: int, seed: int, workers: WorkerSettings, jobs: int
) -> dict[str, list[tuple[Mutant, Verdict]]]:
    """Of each problem that can be solved its reference's mutants, each with its verdict, in the order of the draw."""
    with icarus_workers(workers.sandboxed, jobs) as pool:
        harness = Harness(pool.sandbox, workers.timeout_sec, workers.memory_bytes)
        benches, references = check_references(problems, pool, harness)
        solvable = [problem for problem in problems if references[problem.name].verdict == Verdict.PASS]
        drawn = {problem.name: mutants(reference_as_candidate(problem), limit, seed) for problem in solvable}
        tasks = [
            ((name, index), Task(mutant.code, benches[name], expectation(references[name])))
            for name, chosen in drawn.items()
            for index, mutant in enumerate(chosen)
        ]
        verdicts = dict(shown(judge_all(tasks, pool, harness), len(tasks), "mutants"))
    return {
        name: [(mutant, verdicts[name, index].verdict) for index, mutant in enumerate(chosen)]
        for name, chosen in drawn.items()
    }


def summary(judged: Sequence[tuple[Mutant, Verdict]]) -> dict[str, Any]:
    """Counts of mutants that compile and of those found out, and the others by what was changed."""
    compiled = [(mutant, verdict) for mutant, verdict in judged if verdict != Verdict.COMPILE_ERROR]
    survivors = [mutant for mutant, verdict in compiled if verdict == Verdict.PASS]
    return {
        "mutants": len(compiled),
        "killed": len(compiled) - len(survivors),
        "kill_rate": (len(compiled) - len(survivors)) / len(compiled) if compiled else None,
        "survivors": [f"{mutant.kind}, {mutant.change}" for mutant in survivors],
    }


def measured(by_problem: Mapping[str, Sequence[tuple[Mutant, Verdict]]]) -> dict[str, Any]:
    """The numbers of all problems, by kind and by bench."""
    everything = [pair for judged in by_problem.values() for pair in judged]
    by_kind = {kind: [pair for pair in everything if pair[0].kind == kind] for kind in KINDS}
    total = summary(everything)
    verdicts = collections.Counter(verdict.value for _, verdict in everything)
    return {
        "mutants": total["mutants"],
        "killed": total["killed"],
        "kill_rate": total["kill_rate"],
        "verdict_counts": dict(sorted(verdicts.items())),
        "by_kind": {kind: {**summary(pairs), "survivors": None} for kind, pairs in by_kind.items()},
        "by_bench": {name: summary(judged) for name, judged in by_problem.items()},
    }


def table(numbers: Mapping[str, Any]) -> str:
    """By kind, then the benches that let a mutant pass, worst first."""
    kinds = [(kind, row["mutants"], row["killed"], row["kill_rate"]) for kind, row in numbers["by_kind"].items()]
    kinds.append(("all", numbers["mutants"], numbers["killed"], numbers["kill_rate"]))
    weak = [(name, row) for name, row in numbers["by_bench"].items() if row["mutants"] and row["survivors"]]
    weak.sort(key=lambda pair: pair[1]["kill_rate"])
    rows = [(name, row["mutants"], row["killed"], row["kill_rate"]) for name, row in weak]
    titles = ("mutants", "killed", "rate")
    parts = [tabulate(kinds, ("kind", *titles), "github", floatfmt=".3f")]
    parts.append(
        f"{len(numbers['by_bench']) - len(weak)} of {len(numbers['by_bench'])} benches kill every mutant; not:"
    )
    return "\n\n".join([*parts, tabulate(rows, ("bench", *titles), "github", floatfmt=".2f")])


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    workers = WorkerSettings(args.timeout_sec, args.memory_mib << 20, sandboxed=True)
    version = icarus_version()
    judged = judge_mutants(read_problems(args.problems), args.mutants, args.seed, workers, args.jobs)
    numbers = measured(judged)
    settings = {"mutants_per_reference": args.mutants, "seed": args.seed}
    origin = provenance("scripts.verilog.measure_benches", settings)
    write_json(args.output, {"icarus_version": version, **settings, **numbers, "provenance": origin})
    print(table(numbers))


if __name__ == "__main__":
    main()
