"""The simulate step beside the bare tool pair, iverilog and vvp: 5 samples of every problem, each judged to the end.

The samples are the references in five different dresses, so that every one is compiled and run: the most that a step
can have to do. The step's time includes its start and the self-check of all references, which the bare tools lack.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.common.files import read_json, write_json, write_jsonl
from scripts.common.problems import Problem, read_problems
from scripts.verilog.evaluation import reference_as_candidate

FLAGS = ("-Wall", "-Winfloop", "-Wno-timescale", "-g2012", "-s", "tb")  # VerilogEval's
SETTINGS = {
    "simulation_timeout_sec": 30, "simulation_memory_mib": 2048, "unsafe_no_sandbox": False, "min_icarus": None,
}  # fmt: skip


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


def candidates(problems: Sequence[Problem], samples: int) -> list[tuple[Problem, int, str]]:
    """(problem, sample, module), no two of a problem alike."""
    return [
        (problem, sample, reference_as_candidate(problem).replace("endmodule", f"wire dress_{sample};\nendmodule", 1))
        for problem in problems
        for sample in range(samples)
    ]


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


def measured(samples: int, passed: int, started: float, processor_before: float) -> dict[str, float]:
    seconds, processor_sec = time.perf_counter() - started, processor_seconds() - processor_before
    return {
        "samples": samples, "passed": passed, "seconds": seconds, "ms_per_sample": 1000 * seconds / samples,
        "processor_ms_per_sample": 1000 * processor_sec / samples,
    }  # fmt: skip


def processor_seconds() -> float:
    """Processor time of all children that have ended, theirs included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bare(work: Sequence[tuple[Problem, int, str]], jobs: int) -> dict[str, float]:
    started, before = time.perf_counter(), processor_seconds()
    with ThreadPoolExecutor(jobs) as pool:
        passed = sum(pool.map(lambda task: run_bare(task[0], task[2]), work))
    return measured(len(work), passed, started, before)


def step(work: Sequence[tuple[Problem, int, str]], jobs: int, problems: Path, folder: Path) -> dict[str, float]:
    """The whole command of the simulate step."""
    rows = [
        {"problem": problem.name, "sample": sample, "text": f"```verilog\n{code}```", "finish_reason": "stop"}
        for problem, sample, code in work
    ]
    write_jsonl(folder / "samples.jsonl", rows)
    flags = {
        "settings": json.dumps(SETTINGS), "problems": problems, "samples": folder / "samples.jsonl",
        "verdicts": folder / "verdicts.jsonl", "failures": folder / "failures.jsonl", "state": folder / "state",
        "report": folder / "report.json", "jobs": jobs,
    }  # fmt: skip
    arguments = [text for key, value in flags.items() for text in (f"--{key}", str(value))]
    started, before = time.perf_counter(), processor_seconds()
    subprocess.run([sys.executable, "-m", "scripts.verilog.simulate", *arguments], check=True)
    report = read_json(folder / "report.json")
    return measured(len(work), report["verdict_counts"].get("pass", 0), started, before)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    problems = read_problems(args.problems)
    work = candidates(problems, args.samples)
    with tempfile.TemporaryDirectory(prefix="bench-simulate-") as name:
        ours = step(work, args.jobs, args.problems, Path(name))
    plain = bare(work, args.jobs)
    result: dict[str, Any] = {
        "problems": len(problems),
        "jobs": args.jobs,
        "bare_tools": plain,
        "simulate_step": ours,
        "share_of_bare_speed": plain["seconds"] / ours["seconds"],
        "share_of_bare_speed_by_processor_time": plain["processor_ms_per_sample"] / ours["processor_ms_per_sample"],
    }
    write_json(args.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
