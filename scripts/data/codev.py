"""Rows of CodeV-R1's form: a prompt, and a response of reasoning and an answer that holds Verilog.

Source: the dataset zhuyaoyu/CodeV-R1-dataset; the paper's section 3.8 strips the reasoning and keeps the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_FENCE = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_MODULE = re.compile(r"^[ \t]*module\b.*?\bendmodule\b", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One training pair: what the user asks and the Verilog that answers it. `id` names its row in every message."""

    id: str
    prompt: str
    answer: str


def strip_reasoning(response: str) -> str:
    """`response` without its `<think>…</think>` blocks; an unclosed block takes the rest with it."""
    kept: list[str] = []
    rest = response
    while rest:
        before, _, thought = rest.partition("<think>")
        kept.append(before)
        _, _, rest = thought.partition("</think>")
    return "".join(kept)


def extract_answer(response: str) -> str | None:
    """The text of the last `<answer>` block, or all of it where only fences mark the answer; None without either."""
    text = strip_reasoning(response)
    blocks = _ANSWER.findall(text)
    if blocks:
        return blocks[-1].strip()
    return text.strip() if _FENCE.search(text) else None


def extract_module(answer: str) -> str | None:
    """The Verilog of an answer: the last fenced block that holds a module, or the answer itself; None without one."""
    for block in reversed(_FENCE.findall(answer)):
        if _MODULE.search(block):
            return block.strip()
    if "```" not in answer and _MODULE.search(answer):
        return answer.strip()
    return None


def parse_row(row_id: str, prompt: str, response: str) -> Sample | Literal["no_answer", "no_module"]:
    """The training pair of a row, or why there is none."""
    answer = extract_answer(response)
    if answer is None:
        return "no_answer"
    module = extract_module(answer)
    if module is None:
        return "no_module"
    return Sample(row_id, prompt.strip(), module)
