"""VerilogEval's own letters, from logs of its recipe."""

import pytest

from scripts.verilog.bench import HiddenBench
from scripts.verilog.evaluation import reference_as_candidate
from scripts.verilog.icarus import Expectation
from scripts.verilog.letters import LETTERS, letter
from tests.unit.common.tools import needs_tools
from tests.unit.verilog.tools import harness, plain_log, small_bench, small_problem

PASSED = "Hint: all good\nMismatches: 0 in 20 samples\n"
LOGS = {
    PASSED: ".",
    "Mismatches: 3 in 20 samples\n": "R",
    "": "R",
    "x Mismatches: 0 in 20 samples\n": "R",  # only at the start of a line
    "Mismatches: 0 in 20 samples\nMismatches: 9 in 20 samples\n": ".",
    f"cand.sv:1: syntax error\nTIMEOUT\n{PASSED}": "S",
    f"TIMEOUT\ncand.sv:1: syntax error\n{PASSED}": "T",  # the first line decides
    f"{PASSED}TIMEOUT\n": "T",
    "cand.sv:1: error: This assignment requires an explicit cast.\n": "e",
    "cand.sv:1: error: Sized numeric constant must have a size greater than zero.\n": "0",
    f"cand.sv:1: warning: always_comb process has no sensitivities.\n{PASSED}": "n",
    f"cand.sv:1: warning: @* found no sensitivities so it will never trigger.\n{PASSED}": "n",
    "cand.sv:1: error: y is not a valid l-value\ncand.sv:1: : y is declared here as wire.\n": "w",
    "cand.sv:1: error: Unknown module type: adder\n": "m",
    "cand.sv:1: error: Unable to bind wire/reg/memory `x'\n1 error(s) during elaboration.\n": "p",
    "cand.sv:1: error: Unable to bind wire/reg/memory `x'\n: error: Unable to bind wire/reg/memory `clk'\n": "c",
    f"cand.sv:1: warning: `errors' is not used\n{PASSED}": "C",  # any mention of an error
}


@pytest.mark.parametrize(("log", "expected"), LOGS.items())
def test_a_log_has_its_letter(log: str, expected: str) -> None:
    assert letter(log, "module TopModule; endmodule") == expected


@pytest.mark.parametrize("edge", ["posedge reset", "negedge reset", "posedge r)"])
def test_a_reset_at_an_edge_is_suspected_where_nothing_else_is_known(edge: str) -> None:
    code = f"always @(posedge clk, {edge})"
    assert letter("Mismatches: 3 in 20 samples\n", code) == "r"
    assert letter(PASSED, code) == "."


def test_every_letter_has_an_example() -> None:
    assert set(LOGS.values()) | {"r"} == set(LETTERS)


RIGHT = reference_as_candidate(small_problem())
CODES = {
    "right": RIGHT,
    "wrong": RIGHT.replace("4'd0", "4'd1"),
    "syntax error": RIGHT.replace(";", "", 1),
    "unknown module": RIGHT.replace("endmodule", "adder a1 (a); endmodule"),
    "unbound name": RIGHT.replace("4'd0", "nothing"),
    "unbound clock": RIGHT.replace("input clk", "input clock"),
    "no sensitivities": RIGHT.replace("endmodule", "reg z; always @* z = 1; endmodule"),
    "assigned wire": RIGHT.replace("output reg", "output"),
    "zero size": RIGHT.replace("4'd0", "0'd0"),
    "no ports": "module TopModule; endmodule",
    "file": RIGHT.replace("endmodule", 'initial $dumpfile("x.vcd"); endmodule'),
    "include": '`include "bench.svh"\n' + RIGHT,
    "macros": "`define ZERO 4'd0\n" + RIGHT.replace("4'd0", "`ZERO"),
    "bench's task": RIGHT.replace("endmodule", "initial settle; endmodule"),
    "early end": RIGHT.replace("endmodule", "initial #100 $finish; endmodule"),
    "stop": RIGHT.replace("endmodule", "initial #100 $stop; endmodule"),
}


@pytest.fixture(scope="module")
def bench() -> tuple[HiddenBench, Expectation]:
    return small_bench()


@needs_tools
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_the_letter_beside_a_verdict_is_the_one_of_verilog_evals_own_recipe(
    code: str, bench: tuple[HiddenBench, Expectation]
) -> None:
    assert harness(timeout_sec=30).judge(code, *bench).letter == letter(plain_log(small_problem(), code), code)
