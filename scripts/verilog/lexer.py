"""As much of Verilog's lexical structure as extraction and the scans of hostile code need."""

from __future__ import annotations

import re
from collections.abc import Callable

COMMENT = r"//[^\n]*|/\*.*?\*/"
STRING = r'"(?:\\.|[^"\\\n])*"'
ESCAPED_IDENTIFIER = r"\\\S+"
IDENTIFIER = r"[A-Za-z_][\w$]*"

_SKIPPED = re.compile(f"(?P<comment>{COMMENT})|{STRING}|{ESCAPED_IDENTIFIER}", re.DOTALL)
_TOKEN = re.compile(
    f"{COMMENT}|(?P<string>{STRING})|{ESCAPED_IDENTIFIER}|[`$]{IDENTIFIER}|(?P<identifier>{IDENTIFIER})", re.DOTALL
)


def strip_comments(code: str) -> str:
    """`code` without comments; every line keeps its number."""

    def replace(match: re.Match[str]) -> str:
        if match["comment"] is None:
            return match[0]
        return " " + "\n" * match[0].count("\n")

    return _SKIPPED.sub(replace, code)


def blank_comments_and_strings(code: str) -> str:
    """`code` with comments and strings replaced by spaces: every other character keeps its place."""
    return re.sub(f"{COMMENT}|{STRING}", lambda match: re.sub(r"[^\n]", " ", match[0]), code, flags=re.DOTALL)


def escape_backticks(code: str) -> str:
    """`code` with each backtick in a string literal as the octal escape that means the same."""
    return _TOKEN.sub(lambda match: match[0].replace("`", r"\140") if match["string"] else match[0], code)


def rewrite(code: str, identifier: Callable[[str], str], string: Callable[[str], str]) -> str:
    """`code` with each plain identifier and each string literal replaced; comments, `$tasks` and macros stay."""

    def replace(match: re.Match[str]) -> str:
        if match["identifier"] is not None:
            return identifier(match[0])
        return string(match[0]) if match["string"] is not None else match[0]

    return _TOKEN.sub(replace, code)
