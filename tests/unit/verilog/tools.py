"""What these tests share: the small problem and a harness in the real sandbox."""

import subprocess
import tempfile
from pathlib import Path

from scripts.common.icarus import icarus_tools
from scripts.common.problems import Problem, read_problems
from scripts.common.sandbox import Sandbox, bubblewrap_prefix
from scripts.verilog.bench import HiddenBench, hide, new_nonces
from scripts.verilog.evaluation import expectation, reference_as_candidate
from scripts.verilog.icarus import Expectation, Harness
from tests.unit.common.tools import ROOT

HERE = Path(__file__).parent
PROBLEMS = HERE / "problems"
SCHEMAS = ROOT / "schemas/results"


def small_problem() -> Problem:
    (problem,) = read_problems(PROBLEMS)
    return problem


def plain_log(problem: Problem, code: str) -> str:
    """What VerilogEval's own recipe prints for `code`, without any of this project: for code that is not hostile."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"cand.sv": code, "test.sv": problem.test, "ref.sv": problem.reference}
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        compiler = f"iverilog -Wall -Winfloop -Wno-timescale -g2012 -s tb -o run {' '.join(files)} > log 2>&1"
        simulator = "timeout 30 ./run >> log 2>&1; if [ $? = 124 ]; then echo TIMEOUT >> log; fi"
        subprocess.run(["bash", "-c", f"{compiler}; {simulator}"], cwd=folder, stdin=subprocess.DEVNULL, check=True)
        return Path(folder, "log").read_text(encoding="utf-8", errors="replace")


def harness(timeout_sec: float = 3.0) -> Harness:
    return Harness(Sandbox(bubblewrap_prefix(icarus_tools(), 256 << 20)), timeout_sec, 512 << 20)


def small_bench() -> tuple[HiddenBench, Expectation]:
    """The small problem's bench, hidden, and what its reference shows."""
    problem = small_problem()
    bench = hide(problem.test, problem.reference, new_nonces())
    return bench, expectation(harness().judge(reference_as_candidate(problem), bench, None))
