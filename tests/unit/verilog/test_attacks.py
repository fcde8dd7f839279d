"""Hostile answers: none passes, each is told apart, none outlives its limits or leaves a trace. Every file says what
it expects."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.common.icarus import WorkerSettings
from scripts.verilog.bench import HiddenBench
from scripts.verilog.evaluation import Answer, Evaluation, evaluate, reference_as_candidate
from scripts.verilog.icarus import Expectation
from tests.unit.common.tools import needs_tools
from tests.unit.verilog.tools import HERE, harness, plain_log, small_bench, small_problem

pytestmark = needs_tools

ATTACKS = sorted((HERE / "attacks").glob("*.sv"))
TRACES = [Path("/tmp/trace"), Path("/tmp/trace.vcd"), Path("/tmp/trace.txt")]
FOOLING = [path for path in ATTACKS if "// fools the plain tools" in path.read_text()]


HONEST_FIRST, HONEST_LAST = 0, len(ATTACKS) + 1  # samples of right code around the attacks
# Time enough for the limits of memory and output to be reached before it, also by a slow machine.
LIMITS = WorkerSettings(timeout_sec=10, memory_bytes=512 << 20, sandboxed=True)


@pytest.fixture(scope="module")
def bench() -> tuple[HiddenBench, Expectation]:
    return small_bench()


@pytest.fixture(scope="module")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Evaluation, Path]]:
    """All attacks judged in one run, in an empty current folder, with right code before and after them."""
    here = tmp_path_factory.mktemp("here")
    right = reference_as_candidate(small_problem())
    codes = [right, *(path.read_text() for path in ATTACKS), f"{right}\n"]
    answers = [Answer(small_problem().name, number, code, "stop") for number, code in enumerate(codes)]
    assert not any(trace.exists() for trace in TRACES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scripts.verilog.evaluation.extract_module", lambda text, interface: text)
        patch.chdir(here)
        yield evaluate([small_problem()], answers, LIMITS, 2, tmp_path_factory.mktemp("state")), here


def test_there_are_many_and_many_of_them_would_pass_elsewhere() -> None:
    assert len(ATTACKS) >= 60
    assert len(FOOLING) >= 15


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
def test_the_attack_fails(path: Path, ordeal: tuple[Evaluation, Path]) -> None:
    row = ordeal[0].rows[ATTACKS.index(path) + 1]
    assert row["verdict"] == re.match(r"// expect: (\w+)", path.read_text())[1], row  # type: ignore[index]
    assert row["detail"]
    if path in FOOLING:
        assert row["verilog_eval"] == "."


def test_the_attacks_neither_stop_nor_change_the_verdicts_of_others(ordeal: tuple[Evaluation, Path]) -> None:
    rows = ordeal[0].rows
    assert len(rows) == len(ATTACKS) + 2
    assert {rows[HONEST_FIRST]["verdict"], rows[HONEST_LAST]["verdict"]} == {"pass"}


def test_no_attack_leaves_a_trace(ordeal: tuple[Evaluation, Path]) -> None:
    assert not any(trace.exists() for trace in TRACES)
    assert list(ordeal[1].iterdir()) == []


def test_what_each_attack_did_is_kept(ordeal: tuple[Evaluation, Path]) -> None:
    assert [row["code"] for row in ordeal[0].failures] == [path.read_text() for path in ATTACKS]


@pytest.mark.parametrize("path", FOOLING, ids=lambda path: path.stem)
def test_the_plain_tools_are_fooled(path: Path) -> None:
    """The attack is real: VerilogEval's own recipe prints a verdict without a mismatch."""
    assert re.search(r"^Mismatches: 0 in \d+ samples$", plain_log(small_problem(), path.read_text()), re.MULTILINE)


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
