"""The module in whatever a model writes."""

import html
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    "fence with attributes": f'```{{.verilog title="top.sv"}}\n{MODULE}\n```',
    "fence in a fence": f"````markdown\nSee:\n```verilog\n{MODULE}\n```\nDone.\n````",
    "fence of tildes around ticks": f"~~~\n```verilog\n{MODULE}\n```\n~~~",
    "fence in a quotation": "> Here:\n>\n> ```verilog\n" + "".join(f"> {x}\n" for x in MODULE.split("\n")) + "> ```",
    "fence whose lines are quoted": "```\n" + "".join(f"> {line}\n" for line in MODULE.split("\n")) + "```",
    "fence indented": f"1. Code:\n   ```verilog\n{MODULE}\n   ```",
    "prose around": f"Sure! The module TopModule copies a.\n{MODULE}\nIt's done: see module TopModule above.",
    "prose with quotes": f'I\'d call it "the wire.\n{MODULE}\nDon\'t worry, "quotes" are fine.',
    "prose with an open comment": f"Put it in src/*.v of the project.\n{MODULE}",
    "inline code": f"`{MODULE}`",
    "between VerilogEval's marks": f"Sure.\n[BEGIN]\n{MODULE}\n[DONE]\nThat is module TopModule.",
    "marks never closed": f"[BEGIN]\n{MODULE}\n",
    "marks around a fence": f"[BEGIN]\n```verilog\n{MODULE}\n```\n[DONE]",
    "marks repeated from the prompt": f"Code between [BEGIN] and [DONE]:\n```\n{MODULE}\n```",
    "code tags": f"<CODE>\n{MODULE}\n</CODE>",
    "escaped for HTML": f"<pre>{html.escape(MODULE)}</pre>",
    "JSON": json.dumps({"explanation": "a wire", "code": MODULE}),
    "JSON in a fence": f"```json\n{json.dumps([{'files': {'top.sv': MODULE}}])}\n```",
    "old line ends": f"```verilog\r{MODULE}\r```".replace("\n", "\r"),
    "spaces that do not break": f"```verilog\n{MODULE}\n```".replace("  ", "\u00a0\u00a0"),
    "invisible marks": f"\ufeff```verilog\n{MODULE}\n```".replace(";", ";\u200b"),
    "two versions in one fence": f"```verilog\n{OLD}\n// or rather\n{MODULE}\n```",
    "windows line ends": f"```verilog\r\n{MODULE}\r\n```".replace("\n", "\r\n").replace("\r\r", "\r"),
    "thinking": f"<think>\nFirst ```verilog\n{OLD}\n``` no, wrong.\n</think>\n```verilog\n{MODULE}\n```",
    "thinking that only ends": f"maybe\n{OLD}\n</think>\n{MODULE}",
    "thinking of gemma": f"<|channel>thought\n{OLD}\n<channel|>{MODULE}",
    "thinking in other tags": f"<thought>{OLD}</thought>[THINK]{OLD}[/THINK]<reasoning>{OLD}</reasoning>{MODULE}",
    "thinking without end after the answer": f"```verilog\n{MODULE}\n```\n<think>\nIs it right?\n{OLD}",
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
    assert code.split() == MODULE.split()


NONE = {
    "nothing": "",
    "a refusal": "I cannot write this module.",
    "another module": "```verilog\nmodule top(input a);\nendmodule\n```",
    "cut off": "```verilog\nmodule TopModule (\n  input a,\n  output y\n);\n  assign y =",
    "cut off while thinking": f"<think>\nPerhaps\n{MODULE}\nor rather",
    "a longer name": MODULE.replace("TopModule", "TopModule2"),
    "only in a comment": f"/*\n{MODULE}\n*/",
    "another case": MODULE.replace("TopModule", "topmodule"),
    "JSON without code": '{"code": 1, "more": [null, {"a": "b"}]}',
    "an instance only": "TopModule dut (.a(a), .y(y));",
    "head and no body": "module TopModule (input a, output y);",
    "a body without its head": "  assign y = a;\nendmodule",
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


HEAD = "module TopModule (\n  input a,\n  output y\n);"
BODY = "  assign y = a;\nendmodule"
COMPLETIONS = {
    "the body": BODY,
    "the body in a fence": f"```verilog\n{BODY}\n```",
    "the body and more": f"{BODY}\n\nThis copies a.",
    "a line, then the body": f"Here is the rest:\n{BODY}",
    "the body between marks": f"[BEGIN]\n{BODY}\n[DONE]",
    "the body after thinking": f"<think>\n{OLD}\n</think>\n{BODY}",
    "the whole module after all": f"```verilog\n{MODULE}\n```",
    "the body with a comment": BODY.replace("assign", "// no endmodule yet\n  assign"),
}


@pytest.mark.parametrize("answer", COMPLETIONS.values(), ids=COMPLETIONS)
def test_a_body_completes_the_head_that_was_given(answer: str) -> None:
    code = extract_module(answer, interface=HEAD)
    assert code is not None
    assert code.replace("// no endmodule yet", "").split() == MODULE.split()


@pytest.mark.parametrize(
    "answer", ["  assign y = a;", "", "module top_module (input a);\nendmodule", "I cannot.\n// endmodule"]
)
def test_what_does_not_complete_the_head_is_none(answer: str) -> None:
    assert extract_module(answer, interface=HEAD) is None


STATEMENTS = st.sampled_from(
    [
        "assign y = a;",
        "always @(*) begin : label\n    y = a ? 1'b0 : 1'b1;\n  end",
        "always @(posedge clk) if (a <= b && c) q <= a << 2;",
        "assign y = a &lt;",
        "wire quot; assign z = a &quot;",
        'initial $display("endmodule %0d \\" ``` ", 1);',
        "// endmodule ends it; module Other (x);",
        "/* module TopModule; endmodule */",
        "`ifdef X\n  wire x;\n  `else\n  wire z;\n  `endif",
        "sub #(.W(8)) u1 (.a(a), .y(y));",
        "wire \\odd-name = a; // é π ≤",
        "wire thinking, answer; // <b>",
        "case (a) 2'b0: y = 1; default: y = 0; endcase",
    ]
)


@st.composite
def well_formed(draw: st.DrawFn) -> str:
    """A module TopModule, perhaps with a helper and directives before it."""
    helper = draw(st.sampled_from(["", f"{HELPER}\n\n", "`timescale 1ns/1ps\n", "`define W 8\n\n"]))
    head = draw(
        st.sampled_from(["(input a, output y);", "#(parameter W = 8) (\n  input [W-1:0] a\n);", ";", "import p::*; ;"])
    )
    body = "".join(f"  {statement}\n" for statement in draw(st.lists(STATEMENTS, max_size=5)))
    return f"{helper}module TopModule {head}\n{body}endmodule"


def quoted(code: str) -> str:
    return "".join(f"> {line}\n" for line in code.split("\n"))


CONTAINERS: dict[str, Callable[[str], str]] = {
    "ticks": "```verilog\n{}\n```".format,
    "no label": "```\n{}\n```".format,
    "four ticks": "````sv\n{}\n````".format,
    "tildes": "~~~verilog\n{}\n~~~".format,
    "nested": "`````markdown\n````verilog\n{}\n````\n`````".format,
    "answer": "<answer>\n````verilog\n{}\n````\n</answer>".format,
    "marks": "[BEGIN]\n````\n{}\n````\n[DONE]".format,
    "json": lambda code: json.dumps({"code": code}),
    "windows": lambda code: f"````verilog\n{code}\n````\n".replace("\n", "\r\n"),
    "quotation": lambda code: f"````\n{quoted(code)}````",
}
BEFORE = [
    "",
    "Sure, here is TopModule:\n\n",
    f"<think>\n{OLD}\n</think>\n",
    f"<|channel>thought\n{OLD}<channel|>",
    "1. It's:\n",
]
AFTER = ["", "\n\nIt copies a, see module TopModule above.", "\n\nRun it:\n```bash\nvvp a.out\n```\n", "\n<think>ok?"]


@settings(deadline=None)
@given(well_formed(), st.sampled_from(list(CONTAINERS)), st.sampled_from(BEFORE), st.sampled_from(AFTER))
def test_well_formed_code_comes_back_as_it_was_however_it_is_wrapped(
    code: str, container: str, before: str, after: str
) -> None:
    if container in ("ticks", "no label", "nested", "json") and "```" in code:
        code = code.replace("```", "``")  # three ticks in the code end such a fence for every reader
    if container == "json":
        before, after = "", ""
    assert extract_module(f"{before}{CONTAINERS[container](code)}{after}") == f"{code}\n"


@settings(deadline=None)
@given(well_formed())
def test_extraction_changes_nothing_a_second_time(code: str) -> None:
    once = extract_module(f"````verilog\n{code}\n````")
    assert once is not None
    assert extract_module(f"````verilog\n{once}\n````") == once


@settings(deadline=None)
@given(st.text(st.sampled_from('`~<>|[]/*"\\\n ;(module TopModule endmodule think channel answer'), max_size=300))
def test_whatever_is_written_has_a_module_or_none(answer: str) -> None:
    code = extract_module(answer, interface=HEAD)
    assert code is None or "endmodule" in code


@pytest.mark.parametrize(
    "piece",
    ["/*", "<think>", "```\n", "<answer>", "[BEGIN]", "`define A\n", "module TopModule;", '"', "[", "&lt;(", "> "],
)
def test_a_long_answer_is_read_in_time_that_grows_with_its_length(piece: str) -> None:
    def cpu_sec(characters: int) -> float:
        started = time.process_time()
        extract_module(piece * (characters // len(piece)), interface=HEAD)
        return time.process_time() - started

    # Four times the length takes four times as long; sixteen would be its square. Short times are noise.
    assert cpu_sec(80_000) < 10 * max(cpu_sec(20_000), 0.05)
