"""What is put to the model: variants, examples, and completion of a given head."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.common.problems import read_problems
from scripts.verilog.extract import extract_module
from scripts.verilog.prompts import PromptStyle, interface, read_examples, user_text

SPEC = "I would like you to implement a module named TopModule.\n\n - input a\n - output y\n\nIt copies a.\n"
HEAD = "module TopModule (\n  input clk,\n  input d,\n  output reg q\n);"
COMPLETE = f"\nCreate a single D flip-flop.\n\n{HEAD}\n\n"
VARIANTS = ("problem", "verilog_eval", "verilog_eval_rules", "published_hints")
VERILOG_EVAL = Path(os.environ.get("VERILOG_EVAL_DIR", "(not set)")) / "dataset_spec-to-rtl"
# Drives every input of an example's module for 400 clocks and compares it with the formula in words.
CHECKS = {
    "1_average": (
        "reg [7:0] a, b; wire [7:0] mean;", ".a(a), .b(b), .mean(mean)", "{a, b} = $random;", "(a + b) / 2", "mean",
    ),
    "3_gray_to_binary": (
        "reg [5:0] binary, gray; wire [5:0] found; integer n;", ".gray(gray), .binary(found)",
        "n = $urandom % 64; binary = n; gray = n ^ (n >> 1);", "binary", "found",
    ),
}  # fmt: skip


@pytest.mark.parametrize("prompt", [SPEC, COMPLETE], ids=["spec", "complete"])
def test_by_default_the_problem_is_put_as_it_is(prompt: str) -> None:
    assert user_text(prompt, PromptStyle("problem", 0)) == prompt


def test_verilog_eval_asks_a_question_between_its_marks() -> None:
    text = user_text(SPEC, PromptStyle("verilog_eval", 0))
    assert text.startswith("You are a Verilog RTL designer that only writes code using correct Verilog syntax.\n")
    assert text.endswith(
        "Question:\n" + SPEC + "\nEnclose your code with [BEGIN] and [DONE]. Only output the code snippet\n"
        "and do NOT output anything else.\n\nAnswer:\n"
    )


def test_verilog_eval_has_a_completion_written_under_comments() -> None:
    text = user_text(COMPLETE, PromptStyle("verilog_eval", 0))
    assert text.startswith("You only complete chats with syntax correct Verilog code.")
    assert text.endswith(f"unless otherwise stated.\n// Create a single D flip-flop.\n\n{HEAD}\n")


def test_rules_and_hints_are_added_where_they_are_asked_for() -> None:
    rules, hints = "Declare all ports and signals as logic", "An array is assigned one element at a time"
    texts = {variant: user_text(SPEC, PromptStyle(variant, 0)) for variant in VARIANTS}
    assert [variant for variant in VARIANTS if rules in texts[variant]] == ["verilog_eval_rules"]
    assert [variant for variant in VARIANTS if hints in texts[variant]] == ["published_hints"]
    assert rules not in user_text(COMPLETE, PromptStyle("verilog_eval_rules", 0))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("prompt", [SPEC, COMPLETE], ids=["spec", "complete"])
@pytest.mark.parametrize("count", range(5))
def test_examples_come_first_and_the_problem_last(variant: str, prompt: str, count: int) -> None:
    text = user_text(prompt, PromptStyle(variant, count))  # type: ignore[arg-type]
    places = [text.find(example.code.strip()) for example in read_examples()]
    assert all(place >= 0 for place in places[:count])
    assert all(place < 0 for place in places[count:])
    asked = text.index("It copies a." if prompt == SPEC else "Create a single D flip-flop.")
    assert [*places[:count], asked] == sorted([*places[:count], asked])


@pytest.mark.parametrize("count", [-1, 5])
def test_there_are_up_to_four_examples(count: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 4"):
        PromptStyle("problem", count)


def test_the_head_to_complete_is_read_from_the_prompt() -> None:
    assert interface(COMPLETE) == HEAD
    assert interface("Do it.\n\nmodule TopModule;\n") == "module TopModule;"
    assert interface(SPEC) is None
    assert interface(f"Mend this:\n\n{HEAD}\n  assign q = d;\nendmodule\n\nThe module TopModule has a bug.") is None


def test_an_example_is_an_answer_as_it_should_be() -> None:
    for example in read_examples():
        assert extract_module(f"[BEGIN]\n{example.code}[DONE]") == example.code
        assert re.findall(r"(?m)^ - (?:in|out)put +(\w+)", example.task) == re.findall(
            r"(?m)^ +(?:in|out)put .*?(\w+),?$", example.code
        )


def simulated(code: str, bench: str, folder: Path) -> str:
    (folder / "all.sv").write_text(f"{code}\n{bench}")
    subprocess.run(["iverilog", "-g2012", "-Wall", "-s", "tb", "-o", folder / "a.out", folder / "all.sv"], check=True)
    return subprocess.run(["vvp", "-n", folder / "a.out"], check=True, capture_output=True, text=True).stdout


def code_of(name: str) -> str:
    return Path(f"resources/prompts/examples/{name}.sv").read_text()


@pytest.mark.parametrize("name", CHECKS)
def test_an_example_computes_what_its_task_says(name: str, tmp_path: Path) -> None:
    signals, ports, drive, expected, found = CHECKS[name]
    bench = f"""module tb; {signals} integer i, bad = 0;
      TopModule dut({ports});
      initial begin for (i = 0; i < 400; i = i + 1) begin {drive} #1 if ({found} !== ({expected})) bad = bad + 1; end
      $display("bad %0d", bad); end endmodule"""
    assert "bad 0\n" in simulated(code_of(name), bench, tmp_path)


def test_the_peak_is_held(tmp_path: Path) -> None:
    bench = """module tb; reg clk = 0, clear = 1; reg [3:0] level = 0, model = 0; wire [3:0] peak; integer i, bad = 0;
      TopModule dut(.clk(clk), .clear(clear), .level(level), .peak(peak));
      initial begin for (i = 0; i < 400; i = i + 1) begin
        #1 clk = 1; model = clear ? 0 : (level > model ? level : model);
        #1 if (peak !== model) bad = bad + 1; clk = 0; clear = $urandom % 9 == 0; level = $urandom; end
      $display("bad %0d", bad); end endmodule"""
    assert "bad 0\n" in simulated(code_of("2_peak_hold"), bench, tmp_path)


def test_the_button_is_debounced(tmp_path: Path) -> None:
    bench = """module tb; reg clk = 0, reset = 1, button = 0, model = 0; integer run = 0, i, bad = 0; wire pressed;
      TopModule dut(.clk(clk), .reset(reset), .button(button), .pressed(pressed));
      initial begin for (i = 0; i < 2000; i = i + 1) begin
        #1 clk = 1;
        run = (reset || button == model) ? 0 : run + 1;
        if (reset) model = 0; else if (run == 3) begin model = button; run = 0; end
        #1 if (pressed !== model) bad = bad + 1;
        clk = 0; reset = $urandom % 50 == 0; if ($urandom % 3 == 0) button = ~button; end
      $display("bad %0d", bad); end endmodule"""
    assert "bad 0\n" in simulated(code_of("4_debouncer"), bench, tmp_path)


def grams(text: str, size: int) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


@pytest.mark.parametrize("folder", [Path("resources/mini/problems"), VERILOG_EVAL], ids=["mini", "VerilogEval"])
def test_no_example_is_a_problem_that_is_evaluated(folder: Path) -> None:
    if not folder.is_dir():
        pytest.skip("VERILOG_EVAL_DIR names no checkout of VerilogEval")
    problems = read_problems(folder)
    for example in read_examples():
        what = example.task.split("\n\n")[-1]
        for problem in problems:
            assert not grams(what, 8) & grams(problem.prompt, 8), problem.name
            body = re.sub(r"\s+", " ", problem.reference.partition(";")[2])
            assert re.sub(r"\s+", " ", example.code.partition(";")[2]) != body, problem.name
