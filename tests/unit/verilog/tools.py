"""What these tests share: the small problem, a harness in the real sandbox, and when the tools are there."""

import shutil
from pathlib import Path

import pytest

from scripts.verilog.bench import HiddenBench, hide, new_nonces
from scripts.verilog.evaluation import expectation, reference_as_candidate
from scripts.verilog.icarus import Expectation, Harness, icarus_tools
from scripts.verilog.problems import Problem, read_problems
from scripts.verilog.sandbox import Sandbox, bubblewrap_prefix

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PROBLEMS = HERE / "problems"
SCHEMAS = ROOT / "schemas/results"

needs_tools = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("iverilog", "vvp", "bwrap")),
    reason="needs Icarus Verilog and bubblewrap: apt-get install iverilog bubblewrap",
)


def small_problem() -> Problem:
    (problem,) = read_problems(PROBLEMS)
    return problem


def harness(timeout_sec: float = 3.0) -> Harness:
    return Harness(Sandbox(bubblewrap_prefix(icarus_tools(), 256 << 20)), timeout_sec, 512 << 20)


def small_bench() -> tuple[HiddenBench, Expectation]:
    """The small problem's bench, hidden, and what its reference shows."""
    problem = small_problem()
    bench = hide(problem.test, problem.reference, new_nonces())
    return bench, expectation(harness().judge(reference_as_candidate(problem), bench, None))
