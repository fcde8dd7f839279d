"""The rules on text and on the compiled program; the attacks as a whole are in test_attacks.py."""

import dataclasses
from typing import Any

import pytest

from scripts.verilog.audit import (
    Compiled,
    compiled_refusal,
    directives,
    expanded_refusal,
    reach,
    read_compiled,
    text_refusal,
)
from scripts.verilog.bench import HiddenBench, Nonces, hide
from tests.unit.verilog.test_bench import REFERENCE, TEST

BENCH = hide(TEST, REFERENCE, Nonces("abc", "xyz"))
PROGRAM = """#! /usr/bin/vvp
S_0x1 .scope module, "tb_abc" "tb_abc" 3 1;
 .timescale 0 0;
S_0x2 .scope module, "top_module1_abc" "TopModule" 3 2, 4 1 0, S_0x1;
    .port_info 0 /INPUT 1 "a";
v0x21_0 .net "a", 0 0, v0x11_0;  alias, 1 drivers
S_0x3 .scope module, "TopModule" "TopModule" 4 1;
    .port_info 0 /INPUT 1 "a";
    .port_info 1 /INPUT 8 "b";
    .port_info 2 /OUTPUT 1 "y";
o0x7f01 .functor BUFZ 1, C4<z>; HiZ drive
v0x31_0 .net "a", 0 0, o0x7f01;  0 drivers
v0x32_0 .net8 "b", 7 0, p0x7f02;  0 drivers, strength-aware
v0x33_0 .net "y", 0 0, L_0x34;  1 drivers
S_0x4 .scope begin, "block" "block" 4 5, 4 5 0, S_0x3;
L_0x41 .sfunc 4 6 "$clog2", "s32", L_0x42 ;
    .scope S_0x2;
T_0 ;
    %vpi_call/w 4 4 "$display", "$fopen" {0 0 0};
    .thread T_0;
    .scope S_0x3;
T_1 ;
    .thread T_1, $push;
    .scope S_0x4;
T_2 ;
    .thread T_2;
    .scope S_0x1;
T_3 ;
    .thread T_3, $final;
"""


def compiled(**changes: Any) -> Compiled:
    values: dict[str, Any] = {
        "ports": {"a": "INPUT", "y": "OUTPUT"},
        "undriven": frozenset({"a"}),
        "system_tasks": {"$display": 1},
        "forces": 0,
        "program": "",
    }
    return Compiled(**{**values, **changes})


def refusal(bench: HiddenBench = BENCH, **changes: Any) -> str | None:
    return compiled_refusal(compiled(**changes), compiled(), bench)


def test_the_ports_of_the_lone_instance_are_read() -> None:
    assert read_compiled(PROGRAM).ports == {"a": "INPUT", "b": "INPUT", "y": "OUTPUT"}


def test_an_input_at_high_impedance_is_undriven_and_one_behind_a_switch_is_not() -> None:
    assert read_compiled(PROGRAM).undriven == {"a"}


def test_system_tasks_are_those_called_not_those_in_strings() -> None:
    assert read_compiled(PROGRAM).system_tasks == {"$display": 1, "$clog2": 1}


def test_only_the_processes_of_the_lone_instance_are_removed() -> None:
    removed = set(PROGRAM.splitlines()) - set(read_compiled(PROGRAM).program.splitlines())
    assert removed == {"    .thread T_1, $push;", "    .thread T_2;"}  # T_2 belongs to a block inside it


@pytest.mark.parametrize("operation", ["%force/vec4 v0x21_0;", "%release/net v0x21_0, 0, 1;"])
def test_a_force_is_noticed(operation: str) -> None:
    assert read_compiled(PROGRAM).forces == 0
    assert read_compiled(PROGRAM.replace("T_0 ;", f"T_0 ;\n    {operation}")).forces == 1


@pytest.mark.parametrize(
    "program",
    [
        PROGRAM.replace('"TopModule" "TopModule"', '"Other" "Other"'),
        PROGRAM.replace('"block" "block"', '"x\\"y" "block"'),
        PROGRAM.replace('%vpi_call/w 4 4 "$display"', "%vpi_call/w hidden"),
    ],
)
def test_a_program_that_cannot_be_read_is_never_taken_for_harmless(program: str) -> None:
    with pytest.raises(ValueError, match="compiled program"):
        read_compiled(program)


def test_a_harmless_module_is_not_refused() -> None:
    assert refusal() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"system_tasks": {"$display": 1, "$fopen": 1}}, "uses $fopen"),
        ({"system_tasks": {"$some_vpi_task": 2}}, "uses $some_vpi_task"),
        ({"system_tasks": {"$random": 1}}, "uses $random"),
        ({"forces": 1}, "uses force or release"),
        ({"undriven": frozenset()}, "drives its own input a"),
        ({"ports": {"a": "INOUT", "y": "OUTPUT"}}, "drives its own input a"),
    ],
)
def test_what_the_compiled_program_gives_away(changes: dict[str, Any], reason: str) -> None:
    assert refusal(**changes) == reason


def test_what_the_bench_does_itself_is_no_reason_and_one_more_of_it_is() -> None:
    bench = compiled(system_tasks={"$random": 2, "$fopen": 1}, forces=1)
    assert compiled_refusal(bench, bench, BENCH) is None
    more = compiled(system_tasks={"$random": 3, "$fopen": 1}, forces=1)
    assert compiled_refusal(more, bench, BENCH) == "uses $random"
    assert compiled_refusal(dataclasses.replace(bench, forces=2), bench, BENCH) == "uses force or release"


def test_a_line_separator_in_a_string_is_no_new_line_of_the_program() -> None:
    program = PROGRAM.replace('"$fopen"', '"\u2028    .thread T_0;"')
    assert '"\u2028    .thread T_0;"' in read_compiled(program).program


def test_a_further_port_is_refused_only_where_the_bench_would_connect_it() -> None:
    ports = {"a": "INPUT", "y": "OUTPUT", "y_ref": "INPUT"}
    wildcard = hide(TEST.replace("top_module1 (.y)", "top_module1 (.*)"), REFERENCE, Nonces("abc", "xyz"))
    assert refusal(ports=ports) is None
    assert refusal(wildcard, ports=ports) == "has a port y_ref that is not in the task, and the bench connects by .*"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ('`include "x"', "uses `include"),
        ("defparam a.b = 1;", "uses defparam"),
        ("module tb; endmodule", "defines tb, which is the bench's"),
        ("macromodule automatic \\tb ; endmodule", "defines tb, which is the bench's"),
        ("interface RefModule; endinterface", "defines RefModule, which is the bench's"),
        ("endmodule /* open", "ends inside a comment, which would swallow the bench"),
    ],
)
def test_what_the_text_gives_away(code: str, reason: str) -> None:
    assert text_refusal(code, BENCH) == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RefModule r (a);", "uses the bench's module RefModule"),
        ("RefModule #(1) r (a);", "uses the bench's module RefModule"),
        ("assign y = \\tb .good1.y;", "uses the bench's module tb"),
        ("assign y = good1.y;", "reaches into the bench's instance good1"),
        ("assign y = good1 . y;", "reaches into the bench's instance good1"),
    ],
)
def test_how_text_that_does_not_compile_reached_for_the_bench(code: str, reason: str) -> None:
    assert text_refusal(code, BENCH) is None
    assert reach(code, BENCH) == reason


@pytest.mark.parametrize(
    "code",
    [
        "wire good1; assign y = good1;",
        "wire tb, tb2, mytb, tb$x; mytb u (.tb(tb));",
        'initial $display("/* tb.x RefModule r (defparam `include)");',
    ],
)
def test_names_that_only_resemble_are_no_reason(code: str) -> None:
    assert text_refusal(code, BENCH) is None
    assert reach(code, BENCH) is None


def test_directives_are_seen_wherever_they_stand() -> None:
    assert directives('`define A `B\n"`C" ``x `') == {"define", "A", "B", "C", "x", "`"} - {"A"} | {"`"}


def test_text_that_preprocessing_would_act_upon_again_is_refused() -> None:
    assert expanded_refusal("`timescale 1ns/1ps\nmodule TopModule;") is None
    assert expanded_refusal("`define X") == "holds `define after macro expansion"
