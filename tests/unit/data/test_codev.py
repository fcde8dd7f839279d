"""What is kept of a CodeV-R1 response: the Verilog of its answer, never its reasoning."""

import pytest

from scripts.data.codev import Sample, parse_row

MODULE = "module TopModule(input a, output y);\n  assign y = ~a;\nendmodule"


@pytest.mark.parametrize(
    "response",
    [
        f"<think>invert</think><answer>\n```verilog\n{MODULE}\n```\n</answer>",
        "<think>first\n\n```verilog\nmodule wrong; endmodule\n```\n</think>\n"
        f"<answer>```systemverilog\n{MODULE}\n```</answer>",
        f"<answer>{MODULE}</answer>",
        f"Here it is:\n```verilog\n{MODULE}\n```\nDone.",
        f"<answer>Text first\n```\n{MODULE}\n```\nthen text</answer>",
        f"<answer>```verilog\n{MODULE}\n```\n```text\nnotes\n```</answer>",
    ],
)
def test_the_module_of_the_answer_is_kept(response: str) -> None:
    assert parse_row("row1", " Write it. ", response) == Sample("row1", "Write it.", MODULE)


def test_directives_and_helper_modules_in_the_fence_stay() -> None:
    code = f"`timescale 1ns/1ps\nmodule helper; endmodule\n{MODULE}"
    assert parse_row("row1", "p", f"<answer>```verilog\n{code}\n```</answer>") == Sample("row1", "p", code)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("I do not know.", "no_answer"),
        ("", "no_answer"),
        (f"<think>```verilog\n{MODULE}\n```</think>", "no_answer"),
        (f"<think>never closed <answer>```verilog\n{MODULE}\n```</answer>", "no_answer"),
        ("<answer></answer>", "no_module"),
        ("<answer>Use an inverter.</answer>", "no_module"),
        ("<answer>```verilog\nassign y = ~a;\n```</answer>", "no_module"),
        ("<answer>```verilog\nmodule cut_off(input a);\n```</answer>", "no_module"),
    ],
)
def test_the_reason_to_drop_is_named(response: str, reason: str) -> None:
    assert parse_row("row1", "p", response) == reason
