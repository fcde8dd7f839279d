"""What these tests share: the small problem and a harness in the real sandbox."""

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


def harness(timeout_sec: float = 3.0) -> Harness:
    return Harness(Sandbox(bubblewrap_prefix(icarus_tools(), 256 << 20)), timeout_sec, 512 << 20)


def small_bench() -> tuple[HiddenBench, Expectation]:
    """The small problem's bench, hidden, and what its reference shows."""
    problem = small_problem()
    bench = hide(problem.test, problem.reference, new_nonces())
    return bench, expectation(harness().judge(reference_as_candidate(problem), bench, None))
