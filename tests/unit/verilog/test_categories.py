"""The kind of circuit, from the reference."""

from pathlib import Path

import pytest

from scripts.common.problems import read_problems
from scripts.verilog.categories import category

BODIES = {
    "assign y = a;": "combinational",
    "always @(*) y = a;": "combinational",
    "always @* begin y = a; end // posedge": "combinational",
    "always_comb case (state) 0: y = a; endcase": "combinational",
    "always @(posedge clk) y <= a;": "clocked",
    "always @ ( negedge clk, posedge reset ) y <= a;": "clocked",
    "always @(reset or posedge clk) y <= a;": "clocked",
    "always_ff @(clk) y <= a;": "clocked",
    "always_latch if (a) y <= a;": "clocked",
    "always @(posedge clk) /* the state */ y <= a;": "clocked",
    "reg [1:0] state; always @(posedge clk) state <= next;": "state_machine",
    "reg fsm_state_q; always @(posedge clk) fsm_state_q <= a;": "state_machine",
    "reg [1:0] next_state; always @(posedge clk) y <= next_state;": "state_machine",
}


@pytest.mark.parametrize(("body", "kind"), BODIES.items(), ids=str)
def test_the_kind_of_a_circuit(body: str, kind: str) -> None:
    assert category(f"module RefModule(input clk, input a, output y);\n{body}\nendmodule") == kind


def test_the_miniature_has_clocked_and_unclocked_problems() -> None:
    problems = read_problems(Path("resources/mini/problems"))
    clocked = {problem.name for problem in problems if category(problem.reference) != "combinational"}
    assert clocked == {problem.name for problem in problems if "input clk" in problem.prompt}
