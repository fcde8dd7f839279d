"""The module in whatever a model writes."""

import pytest

from scripts.verilog.extract import extract_module, modules

MODULE = "module TopModule (\n  input a,\n  output y\n);\n  assign y = a;\nendmodule"
OLD = MODULE.replace("assign y = a", "assign y = ~a")
HELPER = "module inv (input i, output o);\n  assign o = ~i;\nendmodule"
USER = "module TopModule (input a, output y);\n  inv u1 (a, y);\nendmodule"
BENCH = "module my_test;\n  reg a;\n  TopModule dut (a, y);\nendmodule"

ONE_MODULE = {
    "bare": MODULE,
    "fence": f"```\n{MODULE}\n```",
    "fence labelled verilog": f"Here it is:\n\n```verilog\n{MODULE}\n```\nIt copies a.",
    "fence labelled systemverilog": f"```systemverilog\n{MODULE}\n```",
    "fence labelled Verilog code": f"```Verilog code\n{MODULE}\n```",
    "fence of tildes": f"~~~sv\n{MODULE}\n~~~",
    "fence of four": f"````verilog\n{MODULE}\n````",
    "fence without a line of its own": f"```{MODULE}```",
    "fence never closed": f"```verilog\n{MODULE}\n",
    "fence never closed, then prose": f"```verilog\n{MODULE}\nThis module copies a.",
    "fence indented": f"1. Code:\n   ```verilog\n{MODULE}\n   ```",
    "prose around": f"Sure! The module TopModule copies a.\n{MODULE}\nIt's done: see module TopModule above.",
    "prose with quotes": f'I\'d call it "the wire.\n{MODULE}\nDon\'t worry, "quotes" are fine.',
    "windows line ends": f"```verilog\r\n{MODULE}\r\n```".replace("\n", "\r\n").replace("\r\r", "\r"),
    "thinking": f"<think>\nFirst ```verilog\n{OLD}\n``` no, wrong.\n</think>\n```verilog\n{MODULE}\n```",
    "thinking that only ends": f"maybe\n{OLD}\n</think>\n{MODULE}",
    "thinking of gemma": f"<|channel>thought\n{OLD}\n<channel|>{MODULE}",
    "answer": f"<think>{OLD}</think>\n<answer>\n```verilog\n{MODULE}\n```\n</answer>",
    "answer without fence": f"<answer>{MODULE}</answer>",
    "answer never closed": f"<think>x</think><answer>\n{MODULE}\n",
    "answer with words only": f"```verilog\n{MODULE}\n```\n<answer>As above.</answer>",
    "last of two versions": f"```verilog\n{OLD}\n```\nWait, that inverts.\n```verilog\n{MODULE}\n```",
    "last of two versions without fences": f"{OLD}\nWait, that inverts.\n{MODULE}",
    "a bench in another block": f"```verilog\n{MODULE}\n```\nTest it:\n```verilog\n{BENCH}\n```",
    "a cut-off second version": f"```verilog\n{MODULE}\n```\nBetter:\n```verilog\nmodule TopModule (\n  input a,",
    "a shell block too": f"```verilog\n{MODULE}\n```\nRun:\n```bash\niverilog top.sv\n```",
}


@pytest.mark.parametrize("answer", ONE_MODULE.values(), ids=ONE_MODULE)
def test_the_module_is_found(answer: str) -> None:
    code = extract_module(answer)
    assert code is not None
    assert code.split() == MODULE.split() or (code.startswith(MODULE) and "This module copies" in code)


NONE = {
    "nothing": "",
    "a refusal": "I cannot write this module.",
    "another module": "```verilog\nmodule top(input a);\nendmodule\n```",
    "cut off": "```verilog\nmodule TopModule (\n  input a,\n  output y\n);\n  assign y =",
    "cut off while thinking": f"<think>\nPerhaps\n{MODULE}\nor rather",
    "a longer name": MODULE.replace("TopModule", "TopModule2"),
    "only in a comment": f"/*\n{MODULE}\n*/",
    "only prose": "The module TopModule (as asked) ends with endmodul.",
}


@pytest.mark.parametrize("answer", NONE.values(), ids=NONE)
def test_without_a_complete_module_there_is_none(answer: str) -> None:
    assert extract_module(answer) is None


def test_helpers_of_the_same_block_stay_in_order() -> None:
    assert extract_module(f"```verilog\n{HELPER}\n\n{USER}\n```") == f"{HELPER}\n\n{USER}\n"


def test_a_helper_from_another_block_is_added() -> None:
    assert extract_module(f"```verilog\n{USER}\n```\nwith\n```verilog\n{HELPER}\n```") == f"{HELPER}\n{USER}\n"


def test_helpers_without_fences_are_kept_and_the_prose_dropped() -> None:
    assert extract_module(f"First:\n{HELPER}\nThen\n{USER}\nDone.") == f"{HELPER}\n{USER}\n"


@pytest.mark.parametrize("directive", ["`timescale 1ns/1ps", "`default_nettype none", "`define WIDTH 8"])
@pytest.mark.parametrize("form", ["```verilog\n{}\n```", "Code:\n{}\n"])
def test_directives_before_the_module_stay(directive: str, form: str) -> None:
    assert extract_module(form.format(f"{directive}\n{MODULE}")) == f"{directive}\n{MODULE}\n"


def test_a_directive_inside_a_module_is_not_doubled() -> None:
    module = "module TopModule;\n`ifdef X\n`endif\nendmodule"
    assert extract_module(module) == f"{module}\n"


def test_keywords_in_comments_and_strings_end_no_module() -> None:
    module = 'module TopModule; // endmodule\n  initial $display("endmodule"); /* module X; */\nendmodule'
    assert extract_module(f"```\n{module}\n```") == f"{module}\n"


@pytest.mark.parametrize("header", ["#(parameter W = 8) (input a);", "import pkg::*; (input a);", ";", "\n(\n  a);"])
def test_every_form_of_header_opens_a_module(header: str) -> None:
    assert [name for name, _, _ in modules(f"module TopModule {header}\nendmodule")] == ["TopModule"]
