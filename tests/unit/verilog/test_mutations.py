"""Mutants: one change each, and the bench that must find them out."""

import difflib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.verilog.measure_benches import main
from scripts.verilog.mutations import KINDS, all_mutants, mutants
from tests.unit.common.tools import needs_tools
from tests.unit.verilog.tools import PROBLEMS

MACHINE = """module TopModule (input clk, input reset, input x, output z); // z = x & !reset
  parameter [1:0] A = 0, B = 1, C = 2;
  reg [1:0] state;
  always @(posedge clk or negedge reset)
    if (!reset) state <= A;
    else case (state)
      A: state <= x ? B : A;
      B: state <= x && (state != 2'd3) ? C : A;
      default: state <= C;
    endcase
  assign z = (state == C) | state[0] ^ ~x; initial $display("a & b");
endmodule
"""


def changes(kind: str) -> set[str]:
    return {mutant.change for mutant in all_mutants(MACHINE) if mutant.kind == kind}


def test_operators() -> None:
    expected = {"&& -> ||", "!= -> ==", "! -> nothing", "== -> !=", "| -> &", "^ -> &", "~ -> nothing"}
    assert {change.partition(": ")[2] for change in changes("operators")} == expected


def test_widths_and_bits() -> None:
    assert changes("widths") == {"line 2: [1:0] -> [0:0]", "line 3: [1:0] -> [0:0]", "line 11: [0] -> [1]"}


def test_resets_and_edges() -> None:
    assert changes("resets") == {
        "line 4: or negedge reset -> nothing",
        "line 4: posedge -> negedge",
        "line 5: if (!reset) -> if (reset)",
    }


def test_states_become_the_next_one_where_they_are_used() -> None:
    assert "line 5: A -> B" in changes("states")
    assert "line 9: C -> A" in changes("states")
    assert not any(change.startswith("line 2:") for change in changes("states"))


def test_constants() -> None:
    assert "line 8: 2'd3 -> 2'd2" in changes("constants")
    assert "line 2: 2 -> 3" in changes("constants")


def test_every_kind_occurs_and_each_mutant_has_one_change_outside_of_comments_and_strings() -> None:
    found = list(all_mutants(MACHINE))
    assert {mutant.kind for mutant in found} == set(KINDS)
    for mutant in found:
        assert "// z = x & !reset" in mutant.code
        assert '"a & b"' in mutant.code
        lines = list(difflib.ndiff(MACHINE.splitlines(), mutant.code.splitlines()))
        assert sum(line.startswith("- ") for line in lines) == 1


DIFFERENT = len({mutant.code for mutant in all_mutants(MACHINE)})


@given(limit=st.integers(0, 60), seed=st.integers(0, 5))
def test_a_draw_is_as_large_as_asked_for_of_different_mutants_and_the_same_again(limit: int, seed: int) -> None:
    chosen = mutants(MACHINE, limit, seed)
    assert chosen == mutants(MACHINE, limit, seed)
    assert len({mutant.code for mutant in chosen}) == len(chosen) == min(limit, DIFFERENT)


@needs_tools
def test_the_small_bench_finds_its_mutants_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--problems", str(PROBLEMS), "--output", str(tmp_path / "benches.json"), "--timeout-sec", "5"])
    result = json.loads((tmp_path / "benches.json").read_text())
    (bench,) = result["by_bench"].values()
    assert result["mutants"] == bench["mutants"] >= 3
    assert result["killed"] == bench["mutants"] - len(bench["survivors"])
    assert result["killed"] == sum(row["killed"] for row in result["by_kind"].values())
    assert bench["kill_rate"] > 0.5
    assert "| all" in capsys.readouterr().out
