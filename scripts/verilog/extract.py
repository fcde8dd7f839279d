"""The Verilog module in whatever a model wrote.

In order: thinking is dropped, the last `<answer>` taken if there is one, then the last fenced block that holds a
complete module of the wanted name; helper modules that stand in other blocks are added if that block names them.
Without such a block the modules are taken from between the prose. Nothing is repaired that the model got wrong: only
what hides its code (line ends, invisible characters, escapes of HTML and JSON, marks of a quotation) is taken away.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from scripts.verilog.bench import TOP
from scripts.verilog.lexer import COMMENT, IDENTIFIER, STRING

_TAGS = "think(?:ing)?|thought|reasoning"
_THINKING_END = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|<channel\|>", re.IGNORECASE)
_THINKING_START = re.compile(rf"<(?:{_TAGS})>|\[THINK\]|<\|channel>", re.IGNORECASE)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_MARKED = re.compile(r"\[BEGIN\](.*?)(?:\[DONE\]|\Z)|<CODE>(.*?)(?:</CODE>|\Z)", re.DOTALL)  # VerilogEval asks for it
# A fence's label ends its line; "```module m; ..." has none.
_FENCE = re.compile(r"(```+|~~~+)(?![ \t]*module\b)(?:[^\n`~]*\n)?(.*?)(\1|\Z)|(```+)(.*?)(\4|\Z)", re.DOTALL)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_MODULE_TOKEN = re.compile(
    rf"{COMMENT}|{STRING}|\b(?:macro)?module\s+(?:(?:automatic|static)\s+)?(?P<name>{IDENTIFIER})\s*(?=[#(;]|import\b)"
    r"|(?P<end>\bendmodule\b)",
    re.DOTALL,
)
_DIRECTIVE_LINE = re.compile(
    r"^[ \t]*`(?:timescale|default_nettype|define|undef|ifdef|ifndef|elsif|else|endif|include|resetall)\b[^\n]*",
    re.MULTILINE,
)
_BODY_END = re.compile(rf"{COMMENT}|{STRING}|(?P<end>\bendmodule\b)", re.DOTALL)
# What no Verilog has: where it stands, the text was escaped for HTML. (`a &lt;` alone may be "and" of a wire `lt`.)
_HTML_ESCAPED = re.compile(r"&(?:lt|gt);\s*=|&(?:amp|lt|gt);&|&#x?[0-9a-fA-F]+;|\([^();\n]*&(?:lt|gt|amp);[^;\n]*\)")
_INVISIBLE = str.maketrans(
    {"\u00a0": " ", "\u2007": " ", "\u202f": " ", "\u2028": "\n", "\u2029": "\n"}
) | dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"), None)
_QUOTED = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)


def extract_module(answer: str, interface: str | None = None, top: str = TOP) -> str | None:
    """The Verilog text of `answer` that defines the module `top`, or None without a complete one.

    Where a problem gives the module's head for completion, `interface` is that head: an answer without any module is
    then taken for the rest of it, down to its `endmodule`.
    """
    text = _without_thinking(_plain(answer))
    parts = [text]
    for marks in (_MARKED, _ANSWER):
        if found := ["".join(match.groups(default="")) for match in marks.finditer(text)]:
            parts.insert(0, found[-1])
    for part in parts:
        if code := _best(part, top):
            return code
    if interface is None:
        return None
    return next((code for part in parts if (code := _completed(part, interface))), None)


def modules(text: str) -> list[tuple[str, int, int]]:
    """(name, start, end) of each complete module in `text`, which may be prose around it, in order."""
    found = []
    opened: tuple[str, int] | None = None
    # After the last end of a comment none begins: otherwise each "/*" would be followed to the end of the text.
    last = text.rfind("*/") + 2
    for token in _MODULE_TOKEN.finditer(text[:last] + text[last:].replace("/*", "  ")):
        if token["name"]:
            opened = (token["name"], token.start())
        elif token["end"] and opened:
            found.append((*opened, token.end()))
            opened = None
    return found


def _plain(answer: str) -> str:
    text = answer.replace("\r\n", "\n").replace("\r", "\n").translate(_INVISIBLE)
    return html.unescape(text) if _HTML_ESCAPED.search(text) else text


def _without_thinking(text: str) -> str:
    """What follows the last end of thinking (the template may have opened it), up to thinking that does not end."""
    for ended in _THINKING_END.finditer(text):
        last = ended.end()
    text = text[last:] if _THINKING_END.search(text) else text
    started = _THINKING_START.search(text)
    return text[: started.start()] if started else text


def _best(text: str, top: str) -> str | None:
    blocks = list(_blocks(text))
    chosen = next((block for block in reversed(blocks) if _defines(block, top)), None)
    if chosen is None:
        return _from_prose(text, top)
    if [name for name, _, _ in modules(chosen)].count(top) > 1:  # two versions in one block
        chosen = _from_prose(chosen, top) or chosen
    return "".join(f"{helper}\n" for helper in _missing_helpers(chosen, blocks)) + chosen.strip() + "\n"


def _blocks(text: str) -> Iterator[str]:
    """The contents of the fences in `text`, of fences within a fence those within; and texts within JSON."""
    for match in _FENCE.finditer(text):
        content = match[2] or match[5] or ""
        lines = content.strip("\n").split("\n")
        if all(line.lstrip().startswith(">") for line in lines[:-1]) and len(lines) > 1:
            content = _QUOTED.sub("", content)
        if not (match[3] or match[6]):  # never closed: prose may follow the code
            content = _until_last_module(content)
        if _FENCE_LINE.search(content):
            yield from _blocks(content)
        else:
            yield from _json_texts(content) or [content]
    yield from _json_texts(text)


def _until_last_module(text: str) -> str:
    ends = [end for _, _, end in modules(text)]
    return text[: ends[-1]] if ends else text


def _json_texts(text: str) -> list[str]:
    """The texts anywhere in `text` if that is one JSON object or list, else none."""
    if not text.lstrip().startswith(("{", "[")):
        return []
    try:
        waiting: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return []
    texts = []
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
    return texts


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
    found = modules(text)
    latest = {name: (start, end) for name, start, end in found}
    if top not in latest:
        return None
    spans = list(latest.values())
    spans += [
        match.span()
        for match in _DIRECTIVE_LINE.finditer(text)
        if not any(start <= match.start() < end for _, start, end in found)
    ]
    return "".join(f"{text[start:end]}\n" for start, end in sorted(spans))


def _completed(text: str, interface: str) -> str | None:
    """`interface` with the rest of its module from `text`: of the last block that ends a module, or of the text."""
    for body in [*reversed(list(_blocks(text))), text]:
        ends = [match.end() for match in _BODY_END.finditer(body) if match["end"]]
        if ends and re.search(r"\bmodule\b", body) is None:
            lines = body[: ends[0]].strip("\n").split("\n")
            # "Here is the rest:" is no Verilog; a label's colon never ends the first line of a body.
            code = "\n".join(lines[1:] if lines[0].rstrip().endswith(":") and len(lines) > 1 else lines)
            return f"{interface.strip()}\n{code}\n"
    return None
