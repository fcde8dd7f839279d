"""The harness beside the bare tool pair, iverilog and vvp: 5 samples of every problem, each judged to the end.

The samples are the references in five different dresses, so that every one is compiled and run: the most that the
simulate step can have to do. Its self-check, once a run, is timed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.common.errors import entry_point
from scripts.common.files import write_json
from scripts.common.icarus import icarus_workers
from scripts.common.problems import Problem, read_problems
from scripts.verilog.evaluation import check_references, expectation, reference_as_candidate
from scripts.verilog.icarus import Harness
from scripts.verilog.verdicts import Verdict
from scripts.verilog.workers import Task, judge_all

FLAGS = ("-Wall", "-Winfloop", "-Wno-timescale", "-g2012", "-s", "tb")  # VerilogEval's
TIMEOUT_SEC = 60
MEMORY_BYTES = 2 << 30


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    evaluation = os.environ.get("VERILOG_EVAL_DIR")
    default = Path(evaluation, "dataset_spec-to-rtl") if evaluation else Path("resources/mini/problems")
    parser.add_argument(
        "--problems", type=Path, default=default, help="(default: VERILOG_EVAL_DIR's, or the mini ones)"
    )
    parser.add_argument("--samples", type=int, default=5, help="of each problem (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time, in both (default 2)")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/simulate.json"))
    return parser.parse_args(argv)


def dressed(problem: Problem, sample: int) -> str:
    """The reference as a candidate, unlike any other of the problem."""
    return reference_as_candidate(problem).replace("endmodule", f"wire dress_{sample};\nendmodule", 1)


def run_bare(problem: Problem, code: str) -> bool:
    """Compiles and runs one candidate by the tools alone; True for a verdict without a mismatch."""
    with tempfile.TemporaryDirectory(prefix="bench-bare-") as folder:
        files = {"cand.sv": code, "test.sv": problem.test, "ref.sv": problem.reference}
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        compiler = ["iverilog", *FLAGS, "-o", "program", *files]
        if subprocess.run(compiler, cwd=folder, capture_output=True).returncode:
            return False
        run = subprocess.run(["vvp", "-n", "program"], cwd=folder, capture_output=True)
        return b"Mismatches: 0 in " in run.stdout


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    problems = read_problems(args.problems)
    seconds = {"bare_tools": 0.0, "harness": 0.0}
    passed = {"bare_tools": 0, "harness": 0}
    with icarus_workers(True, args.jobs) as workers:
        harness = Harness(workers.sandbox, TIMEOUT_SEC, MEMORY_BYTES)
        started = time.perf_counter()
        benches, references = check_references(problems, workers, harness)
        self_check_sec = time.perf_counter() - started
        solvable = [problem for problem in problems if references[problem.name].verdict == Verdict.PASS]
        # Round by round one after the other, so that whatever else the machine does slows both.
        for sample in range(args.samples):
            codes = {problem.name: dressed(problem, sample) for problem in solvable}
            tasks = [(n, Task(code, benches[n], expectation(references[n]))) for n, code in codes.items()]
            started = time.perf_counter()
            passed["harness"] += sum(j.verdict == Verdict.PASS for _, j in judge_all(tasks, workers, harness))
            seconds["harness"] += time.perf_counter() - started
            started = time.perf_counter()
            with ThreadPoolExecutor(args.jobs) as pool:
                passed["bare_tools"] += sum(pool.map(run_bare, solvable, codes.values()))
            seconds["bare_tools"] += time.perf_counter() - started
    count = len(solvable) * args.samples
    result: dict[str, Any] = {
        "problems": len(problems),
        "solvable": len(solvable),
        "samples": count,
        "jobs": args.jobs,
        "self_check_sec": self_check_sec,
        "passed": passed,
        "ms_per_sample": {way: 1000 * spent / count for way, spent in seconds.items()},
        "share_of_bare_speed": seconds["bare_tools"] / seconds["harness"],
    }
    write_json(args.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
