"""Mutants of a module: each differs from it in one place, as a slip of the pen would."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Iterator

from scripts.verilog.lexer import IDENTIFIER, blank_comments_and_strings

KINDS = ("operators", "widths", "resets", "states", "constants")
Replacement = str | Callable[[re.Match[str]], str]


@dataclasses.dataclass(frozen=True)
class Mutant:
    """`code` with one change of `kind`, which `change` describes, such as `line 7: & -> |`."""

    kind: str
    change: str
    code: str


def _one_less(match: re.Match[str]) -> str:
    high, low = int(match[1]), int(match[2])
    return f"[{high - 1}:{low}]" if high > low else f"[{high}:{low - 1}]"


def _inverted(match: re.Match[str]) -> str:
    return f"if ({'' if match[1] else '!'}{match[2]})"


def _other_value(match: re.Match[str]) -> str:
    """A literal whose lowest bit is another: its width and base stay."""
    base, digits = match[2], match[3].replace("_", "")
    radix = {"b": 2, "o": 8, "d": 10, "h": 16}[base.lower()]
    value = int(digits, radix) ^ 1
    return f"{match[1]}'{base}{format(value, {2: 'b', 8: 'o', 10: 'd', 16: 'x'}[radix])}"


# Of two rules that make the same of a text the first counts.
_RULES: tuple[tuple[str, str, Replacement], ...] = (
    ("resets", r"\bif\s*\(\s*([!~])?\s*(\w*(?:reset|rst)\w*|r)\s*\)", _inverted),
    ("resets", r"(?:,|\bor\b)\s*(?:posedge|negedge)\s+\w*(?:reset|rst)\w*", ""),
    ("resets", r"\bposedge\b(?!\s+\w*(?:reset|rst))", "negedge"),
    ("resets", r"\bnegedge\b(?!\s+\w*(?:reset|rst))", "posedge"),
    ("operators", r"&&", "||"),
    ("operators", r"\|\|", "&&"),
    ("operators", r"(?<![&~])&(?!&)", "|"),
    ("operators", r"(?<![|~])\|(?!\|)", "&"),
    ("operators", r"(?<!~)\^(?!~)", "&"),
    ("operators", r"~(?![&|^])", ""),
    ("operators", r"!(?!=)", ""),
    ("operators", r"(?<![=!])==(?!=)", "!="),
    ("operators", r"!=(?!=)", "=="),
    ("operators", r"(?<!\+)\+(?![+:=])", "-"),
    ("operators", r"(?<!-)-(?![-:=>])", "+"),
    ("operators", r"<<(?!<)", ">>"),
    ("operators", r"(?<!>)>>(?!>)", "<<"),
    ("operators", r"(?<!<)<(?![<=])", ">="),
    ("operators", r"(?<![>\-=])>(?![>=])", "<="),
    ("widths", r"\[(\d+):(\d+)\](?!\s*==)", _one_less),
    ("widths", r"\[(\d+)\]", lambda match: f"[{int(match[1]) ^ 1}]"),
    ("constants", r"\b(\d+)'([bdhoBDHO])([0-9a-fA-F_]+)\b", _other_value),
    ("constants", r"(?<![\w.'\[:])\d+(?![\w'\]:])", lambda match: str(int(match[0]) + 1)),
)
_PARAMETERS = re.compile(r"\b(?:parameter|localparam)\b([^;]*);")


def mutants(code: str, limit: int, seed: int = 0) -> list[Mutant]:
    """At most `limit` mutants of `code`, drawn by `seed`, of every kind about as many."""
    drawn = random.Random(f"{seed}:{code}")
    by_kind: dict[str, list[Mutant]] = {kind: [] for kind in KINDS}
    for mutant in {mutant.code: mutant for mutant in reversed(list(all_mutants(code)))}.values():
        by_kind[mutant.kind].append(mutant)
    for found in by_kind.values():
        drawn.shuffle(found)
    chosen: list[Mutant] = []
    while len(chosen) < limit and any(by_kind.values()):
        chosen += [found.pop() for found in by_kind.values() if found][: limit - len(chosen)]
    return chosen


def all_mutants(code: str) -> Iterator[Mutant]:
    """Every mutant of `code` by every rule, some of them twice; comments and strings stay."""
    plain = blank_comments_and_strings(code)
    for kind, pattern, replacement in _RULES:
        for match in re.finditer(pattern, plain):
            yield _changed(code, kind, match, replacement if isinstance(replacement, str) else replacement(match))
    for names in (_names(match[1]) for match in _PARAMETERS.finditer(plain)):
        following = dict(zip(names, names[1:] + names[:1], strict=True))
        if len(names) < 2:
            continue
        declared = [match.span() for match in _PARAMETERS.finditer(plain)]
        for match in re.finditer(rf"\b(?:{'|'.join(names)})\b", plain):
            if not any(start <= match.start() < end for start, end in declared):
                yield _changed(code, "states", match, following[match[0]])


def _names(declaration: str) -> list[str]:
    """The names that a list such as `[1:0] A = 0, B = 1` gives values to."""
    return re.findall(rf"({IDENTIFIER})\s*=", declaration)


def _changed(code: str, kind: str, match: re.Match[str], new: str) -> Mutant:
    line = code.count("\n", 0, match.start()) + 1
    shown = " ".join(match[0].split())
    changed = code[: match.start()] + new + code[match.end() :]
    return Mutant(kind, f"line {line}: {shown} -> {new or 'nothing'}", changed)
