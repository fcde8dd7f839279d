"""Hostile answers: none passes, each is told apart, none outlives its limits. Every file says what it expects."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from scripts.verilog.bench import HiddenBench
from scripts.verilog.evaluation import reference_as_candidate
from scripts.verilog.icarus import Expectation
from tests.unit.common.tools import needs_tools
from tests.unit.verilog.tools import HERE, harness, small_bench, small_problem

pytestmark = needs_tools

ATTACKS = sorted((HERE / "attacks").glob("*.sv"))
FOOLING = [path for path in ATTACKS if "// fools the plain tools" in path.read_text()]


@pytest.fixture(scope="module")
def bench() -> tuple[HiddenBench, Expectation]:
    return small_bench()


def test_there_are_at_least_30() -> None:
    assert len(ATTACKS) >= 60
    assert len(FOOLING) >= 15


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
def test_the_attack_fails(path: Path, bench: tuple[HiddenBench, Expectation]) -> None:
    code = path.read_text()
    expected = re.match(r"// expect: (\w+)", code)[1]  # type: ignore[index]
    started = time.monotonic()
    # Time enough for the other limits to be reached first, also on a busy machine.
    judgement = harness(timeout_sec=3 if expected == "timeout" else 60).judge(code, *bench)
    assert judgement.verdict.value == expected, judgement.detail
    assert judgement.detail
    if path in FOOLING:
        assert judgement.letter == "."
    if expected == "timeout":
        assert time.monotonic() - started < 20


@pytest.mark.parametrize("path", FOOLING, ids=lambda path: path.stem)
def test_the_plain_tools_are_fooled(path: Path, tmp_path: Path) -> None:
    """The attack is real: VerilogEval's own recipe prints a verdict without a mismatch."""
    problem = small_problem()
    for name, text in (("cand.sv", path.read_text()), ("test.sv", problem.test), ("ref.sv", problem.reference)):
        (tmp_path / name).write_text(text)
    flags = [
        "-Wall",
        "-Winfloop",
        "-Wno-timescale",
        "-g2012",
        "-s",
        "tb",
        "-o",
        "a.out",
        "cand.sv",
        "test.sv",
        "ref.sv",
    ]
    subprocess.run(["iverilog", *flags], cwd=tmp_path, check=True, capture_output=True)
    run = subprocess.run(["vvp", "-n", "a.out"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert re.search(r"^Mismatches: 0 in \d+ samples$", run.stdout, re.MULTILINE)


def test_no_attack_leaves_a_trace(
    bench: tuple[HiddenBench, Expectation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = [Path("/tmp/trace"), Path("/tmp/trace.vcd")]
    assert not any(path.exists() for path in elsewhere)
    for name in ("opens_file", "dumps_waves", "runs_shell"):
        harness().judge((HERE / f"attacks/{name}.sv").read_text(), *bench)
    assert not any(path.exists() for path in elsewhere)
    assert list(tmp_path.iterdir()) == []


HEADER = "module TopModule(input clk, input a, input [3:0] b, output reg [3:0] y);\n"
RIGHT = "always @(posedge clk) y <= a ? b : 0;\n"
HONEST = {
    "the reference": reference_as_candidate(small_problem()),
    "macros": "`define ON(x) (x == 1'b1)\n" + HEADER + "`ifndef NEVER\nalways @(posedge clk) y <= `ON(a) ? b : 0;\n"
    "`endif\nendmodule",
    "messages": HEADER
    + 'initial $display("Mismatches: 9 in 9 samples from %m at %0t", $time);\n'
    + RIGHT
    + "endmodule",
    "backticks and bench names in comments": HEADER + "// `y` follows `b`; see tb and RefModule, `include, defparam\n"
    f"{RIGHT}endmodule",
    "a bench that is never used": f"{HEADER}{RIGHT}endmodule\n"
    'module my_test; initial begin $dumpfile("x.vcd"); $dumpvars; force x = 1; end reg x; endmodule',
    "directives and names of the bench in strings": HEADER
    + 'initial $display("`include `y` $fopen tb.good1.y defparam");\n'
    + RIGHT
    + "endmodule",
    "strings beside macros": '`define SHOW(x) $display(`"x`", " `x ")\n'
    + HEADER
    + f"initial `SHOW(a);\n{RIGHT}endmodule",
    "instances and blocks named as the bench's": "module pick(input a, input [3:0] b, output [3:0] o); "
    f"assign o = a ? b : 0; endmodule\n{HEADER} pick good1 (.a, .b);\n task settle; ; endtask\n"
    "always @(posedge clk) begin : stim1 settle; y <= good1.o; end\nendmodule",
    "strict nets": "`default_nettype none\n"
    + HEADER.replace("input ", "input wire ")
    + RIGHT
    + "endmodule\n`default_nettype wire\n",
    "generate, functions, system functions": HEADER
    + """
      localparam WIDTH = $clog2(16);
      function automatic [3:0] masked(input on, input [3:0] value);
        masked = $unsigned($signed(value) & {4{on}});
      endfunction
      wire [3:0] next;
      genvar i;
      generate
        for (i = 0; i < WIDTH; i = i + 1) begin : bits
          wire [3:0] all = masked(a, b);
          assign next[i] = all[i];
        end
      endgenerate
      always @(posedge clk) y <= next;
    endmodule""",
    "SystemVerilog": """
      typedef enum logic [0:0] {OFF, ON} state_t;
      module TopModule(input logic clk, input logic a, input logic [3:0] b, output logic [3:0] y);
        state_t state;
        always_comb unique case (a) 1'b1: state = ON; default: state = OFF; endcase
        always_ff @(posedge clk) y <= (state == ON) ? b : '0;
      endmodule : TopModule""",
    "assertions and messages at the end": HEADER
    + 'final $display("Mismatches: 3 in 120 samples");\n'
    + 'always @(posedge clk) if (a === 1\'bz) $error("floating");\n'
    + RIGHT
    + "endmodule",
    "old line ends": (HEADER + "// one line\n" + RIGHT + "endmodule\n").replace("\n", "\r\n"),
    "text beyond ASCII": HEADER + 'initial $display("größer ≥ \u2028 x"); // ≤\n' + RIGHT + "endmodule",
    "helpers": "module pick(input a, input [3:0] b, output [3:0] o); assign o = a ? b : 0; endmodule\n"
    f"{HEADER} wire [3:0] next; pick good1 (.a, .b, .o(next));\n  always @(posedge clk) y <= next;\nendmodule",
    "procedural assign": HEADER + "reg r; initial assign r = 1;\n always @(posedge clk) y <= a & r ? b : 0;\nendmodule",
    "an input of no use": HEADER.replace("input clk", "input clk, input unused") + RIGHT + "endmodule",
}


@pytest.mark.parametrize("code", HONEST.values(), ids=HONEST)
def test_honest_code_passes(code: str, bench: tuple[HiddenBench, Expectation]) -> None:
    judgement = harness().judge(code, *bench)
    assert (judgement.verdict.value, judgement.detail) == ("pass", "no mismatch in 120 samples")


WRONG = {
    "mismatch": HEADER + "always @(posedge clk) y <= b;\nendmodule",
    "compile_error": HEADER + "y <= b;\nendmodule",
}


@pytest.mark.parametrize(("verdict", "code"), WRONG.items(), ids=WRONG)
def test_wrong_code_is_told_apart(verdict: str, code: str, bench: tuple[HiddenBench, Expectation]) -> None:
    judgement = harness().judge(code, *bench)
    assert judgement.verdict.value == verdict
    assert bench[0].nonces.name not in judgement.detail
