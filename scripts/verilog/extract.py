"""The Verilog module in whatever a model wrote.

In order: thinking is dropped, the last `<answer>` taken if there is one, then the last fenced block that holds a
complete module of the wanted name; helper modules that stand in other blocks are added if that block names them.
Without such a block the modules are taken from between the prose.
"""

from __future__ import annotations

import re

from scripts.verilog.bench import TOP
from scripts.verilog.lexer import COMMENT, IDENTIFIER, STRING

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>|<\|channel>.*?<channel\|>", re.DOTALL | re.IGNORECASE)
_THINKING_END = re.compile(r".*(?:</think(?:ing)?>|<channel\|>)", re.DOTALL | re.IGNORECASE)
_THINKING_START = re.compile(r"(?:<think(?:ing)?>|<\|channel>).*", re.DOTALL | re.IGNORECASE)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
# A fence's label ends its line; "```module m; ..." has none.
_FENCE = re.compile(r"(```+|~~~+)(?![ \t]*module\b)(?:[^\n`~]*\n)?(.*?)(?:\1|\Z)|(```+)(.*?)(?:\3|\Z)", re.DOTALL)
_MODULE_TOKEN = re.compile(
    rf"{COMMENT}|{STRING}|\b(?:macro)?module\s+(?:(?:automatic|static)\s+)?(?P<name>{IDENTIFIER})\s*(?=[#(;]|import\b)"
    r"|(?P<end>\bendmodule\b)",
    re.DOTALL,
)
_DIRECTIVE_LINE = re.compile(
    r"^[ \t]*`(?:timescale|default_nettype|define|undef|ifdef|ifndef|elsif|else|endif|include|resetall)\b[^\n]*",
    re.MULTILINE,
)


def extract_module(answer: str, top: str = TOP) -> str | None:
    """The Verilog text of `answer` that defines the module `top`, or None without a complete one."""
    text = _without_thinking(answer.replace("\r\n", "\n"))
    if (tagged := _ANSWER.findall(text)) and (code := _best(tagged[-1], top)):
        return code
    return _best(text, top)


def modules(text: str) -> list[tuple[str, int, int]]:
    """(name, start, end) of each complete module in `text`, which may be prose around it, in order."""
    found = []
    opened: tuple[str, int] | None = None
    for token in _MODULE_TOKEN.finditer(text):
        if token["name"]:
            opened = (token["name"], token.start())
        elif token["end"] and opened:
            found.append((*opened, token.end()))
            opened = None
    return found


def _without_thinking(text: str) -> str:
    text = _THINKING.sub("", text)
    if (ended := _THINKING_END.match(text)) is not None:  # the template opened it, the answer only closes it
        text = text[ended.end() :]
    return _THINKING_START.sub("", text)


def _best(text: str, top: str) -> str | None:
    blocks = [match[2] or match[4] or "" for match in _FENCE.finditer(text)]
    chosen = next((block for block in reversed(blocks) if _defines(block, top)), None)
    if chosen is None:
        return _from_prose(text, top)
    return "".join(f"{helper}\n" for helper in _missing_helpers(chosen, blocks)) + chosen.strip() + "\n"


def _defines(code: str, name: str) -> bool:
    return any(found == name for found, _, _ in modules(code))


def _missing_helpers(code: str, blocks: list[str]) -> list[str]:
    """Modules of the other blocks that `code`, or another helper, names and does not define; the last of each name."""
    elsewhere = {name: block[start:end] for block in blocks for name, start, end in modules(block)}
    helpers: dict[str, str] = {}
    waiting = [code]
    defined = {name for name, _, _ in modules(code)}
    while waiting:
        words = set(re.findall(IDENTIFIER, waiting.pop()))
        for name in sorted((words & elsewhere.keys()) - defined):
            defined.add(name)
            helpers[name] = elsewhere[name]
            waiting.append(elsewhere[name])
    return [helpers[name] for name in sorted(helpers)]


def _from_prose(text: str, top: str) -> str | None:
    """The modules of `text` and the directive lines between them, without the prose; of a name the last."""
    latest = {name: (start, end) for name, start, end in modules(text)}
    if top not in latest:
        return None
    spans = list(latest.values())
    spans += [
        match.span()
        for match in _DIRECTIVE_LINE.finditer(text)
        if not any(start <= match.start() < end for _, start, end in modules(text))
    ]
    return "".join(f"{text[start:end]}\n" for start, end in sorted(spans))
