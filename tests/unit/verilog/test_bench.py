"""The bench a candidate cannot address."""

import pytest

from scripts.verilog.bench import Nonces, hide
from scripts.verilog.lexer import blank_comments_and_strings, rewrite, strip_comments
from tests.unit.verilog.tools import small_problem

NONCES = Nonces("abc", "xyz")
TEST = """module tb; // the bench tb
  wire y; RefModule good1 (.y); TopModule top_module1 (.y);
  initial $dumpfile("wave.vcd");
  initial begin $dumpvars(1, good1.y, y ); $display("tb: Mismatches: %1d in %1d samples", 0, 9); end
endmodule
"""
REFERENCE = "module RefModule (output y); /* RefModule */ assign y = 1; endmodule\n"


def test_modules_and_instances_get_new_names_everywhere_but_in_comments_and_strings() -> None:
    bench = hide(TEST, REFERENCE, NONCES)
    assert bench.top == "tb_abc"
    assert bench.test.startswith("module tb_abc; // the bench tb\n  wire y; RefModule_abc good1_abc (.y);")
    assert bench.reference == REFERENCE.replace("module RefModule", "module RefModule_abc")
    assert "tb: xyz Mismatches: %1d" in bench.test


def test_the_candidates_module_keeps_its_name_and_its_instance_does_not() -> None:
    assert "TopModule top_module1_abc (.y);" in hide(TEST, REFERENCE, NONCES).test


def test_named_scopes_get_new_names_and_system_functions_and_ports_keep_theirs() -> None:
    scopes = "task settle; #1; endtask function [3:0] next(input x); next = $settle(x); endfunction\n"
    scopes += "initial begin : stimulus settle; stimulus.y = next(1); end"
    hidden = hide(TEST.replace("endmodule", scopes + " endmodule"), REFERENCE, NONCES).test
    assert "task settle_abc; #1; endtask function [3:0] next_abc(input x); next_abc = $settle(x);" in hidden
    assert "initial begin : stimulus_abc settle_abc; stimulus_abc.y = next_abc(1); end" in hidden
    kept = hide(TEST.replace("endmodule", scopes + " wire w = u.settle; endmodule"), REFERENCE, NONCES).test
    assert "task settle;" in kept


def test_what_a_candidate_must_not_name() -> None:
    bench = hide(TEST, REFERENCE, NONCES)
    assert bench.modules == {"tb", "RefModule"}
    assert bench.instances == {"good1", "top_module1"}


def test_no_waveform_is_dumped() -> None:
    assert "$dump" not in hide(TEST, REFERENCE, NONCES).test


def test_messages_show_the_original_names() -> None:
    bench = hide(TEST, REFERENCE, NONCES)
    assert bench.unhide(f"{bench.top}.good1_abc: {bench.verdict_text} 0") == "tb.good1: Mismatches: 0"


def test_a_port_that_shares_an_instances_name_is_not_renamed() -> None:
    bench = hide(TEST.replace("top_module1 (.y)", "top_module1 (.y, .good1(y))"), REFERENCE, NONCES)
    assert ".good1(y)" in bench.test


@pytest.mark.parametrize(("ports", "wildcard"), [("(.y)", False), ("(.*)", True), ("(.a,\n .*)", True)])
def test_wildcard_connections_are_noticed(ports: str, wildcard: bool) -> None:
    test = TEST.replace("top_module1 (.y)", f"top_module1 {ports}")
    assert hide(test, REFERENCE, NONCES).wildcard_ports is wildcard


def test_the_small_problem_connects_only_the_stimulus_by_wildcard() -> None:
    problem = small_problem()
    assert not hide(problem.test, problem.reference, NONCES).wildcard_ports


@pytest.mark.parametrize(
    ("test", "message"),
    [(TEST.replace("Mismatches:", "Errors:"), "prints no line"), (TEST.replace("tb", "bench"), "no module tb")],
)
def test_a_bench_of_another_kind_is_an_error(test: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hide(test, REFERENCE, NONCES)


def test_comments_go_and_lines_keep_their_numbers() -> None:
    code = 'a // b\n/* c\nd */ e "// no /* comment */" \\x//y z'
    assert strip_comments(code) == 'a  \n \n e "// no /* comment */" \\x//y z'


def test_blanking_keeps_every_place() -> None:
    code = 'a // "b\n/* c\nd */ "e\\"" f'
    blank = blank_comments_and_strings(code)
    assert len(blank) == len(code)
    assert blank.split() == ["a", "f"]
    assert blank.index("f") == code.index("f")


def test_rewriting_leaves_tasks_macros_and_escaped_names() -> None:
    code = '$tb `tb \\tb tb "tb" tb2'
    assert rewrite(code, lambda name: name.upper(), lambda text: "S") == "$tb `tb \\tb TB S TB2"
