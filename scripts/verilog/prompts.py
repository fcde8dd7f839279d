"""What is put to the model for a problem: the variants of the prompt, and in-context examples before it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from scripts.verilog.bench import TOP

PROMPTS = Path(__file__).resolve().parents[2] / "resources/prompts"
MOST_EXAMPLES = 4

Variant = Literal["problem", "verilog_eval", "verilog_eval_rules", "published_hints"]

# From scripts/sv-generate of NVlabs/verilog-eval (MIT), as the rules in resources/prompts.
SYSTEM = {
    "spec_to_rtl": "You are a Verilog RTL designer that only writes code using correct Verilog syntax.",
    "code_complete": "You only complete chats with syntax correct Verilog code. End the Verilog module code completion "
    "with 'endmodule'. Do not include module, input and output definitions.",
}
COMPLETE_PREFIX = (
    "// Implement the Verilog module based on the following description. Assume that signals are positive clock/clk "
    "triggered unless otherwise stated.\n"
)
ENCLOSE = "Enclose your code with [BEGIN] and [DONE]. Only output the code snippet\nand do NOT output anything else.\n"
_HEAD = re.compile(rf"^module\s+{TOP}\b[^;]*;\s*\Z", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class PromptStyle:
    """`variant` of the prompt and the number of in-context `examples` before it."""

    variant: Variant
    examples: int

    def __post_init__(self) -> None:
        if not 0 <= self.examples <= MOST_EXAMPLES:
            raise ValueError(f"prompt_examples must be from 0 to {MOST_EXAMPLES}")


@dataclasses.dataclass(frozen=True)
class Example:
    """A task in words, with its interface, and the module that does it."""

    task: str
    code: str


def interface(prompt: str) -> str | None:
    """The head of the module that a code-complete prompt ends in and asks to complete; None for a spec-to-rtl one."""
    match = _HEAD.search(prompt)
    return match[0].strip() if match else None


def user_text(prompt: str, style: PromptStyle) -> str:
    """The user's turn for the problem whose prompt file holds `prompt`.

    VerilogEval's system message stands at its start, as VerilogEval does it for models without a system turn: the chat
    stays the one that training saw. Its rules are for spec-to-rtl only; a completion is asked for without them.
    """
    head = interface(prompt)
    examples = read_examples()[: style.examples]
    if not style.variant.startswith("verilog_eval"):
        hints = f"\n{_read('published_hints.txt')}" if style.variant == "published_hints" else ""
        shown = [f"Question:\n{entry.task}\nAnswer:\n```verilog\n{entry.code}```\n\n" for entry in examples]
        asked = f"{prompt.rstrip()}\n{hints}" if hints else prompt
        return f"{''.join(shown)}Question:\n{asked.strip()}\n\nAnswer:\n" if shown else asked
    if head is not None:
        completed = [f"{COMPLETE_PREFIX}{_described(entry)}\n{entry.code}\n" for entry in examples]
        words = prompt[: prompt.index(head)]
        return f"{SYSTEM['code_complete']}\n\n{''.join(completed)}{COMPLETE_PREFIX}{_commented(words)}\n{head}\n"
    rules = f"\n{_read('verilog_eval_rules.txt')}" if style.variant == "verilog_eval_rules" else ""
    shown = [f"Question:\n{entry.task}\n{ENCLOSE}\nAnswer:\n[BEGIN]\n{entry.code}[DONE]\n\n" for entry in examples]
    return f"{SYSTEM['spec_to_rtl']}\n\n{''.join(shown)}Question:\n{prompt.strip()}\n{rules}\n{ENCLOSE}\nAnswer:\n"


def read_examples() -> list[Example]:
    """The examples of resources/prompts, simplest first."""
    return [
        Example(path.read_text(encoding="utf-8"), path.with_suffix(".sv").read_text(encoding="utf-8"))
        for path in sorted((PROMPTS / "examples").glob("*.txt"))
    ]


def _described(example: Example) -> str:
    """What an example's module does, as comments and without the list of ports, which its head shows."""
    return _commented(re.split(r"(?m)^ - .*\n+(?! - )", example.task)[-1])


def _commented(words: str) -> str:
    return "".join(f"// {line}".rstrip() + "\n" for line in words.strip().split("\n"))


def _read(name: str) -> str:
    return (PROMPTS / name).read_text(encoding="utf-8")
