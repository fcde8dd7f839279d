"""What kind of circuit a problem asks for, read from its reference."""

from __future__ import annotations

import enum
import re

from scripts.verilog.lexer import blank_comments_and_strings

_EDGE = re.compile(r"@\s*\(?\s*(?:pos|neg)edge\b|\balways_ff\b|@\s*\([^)]*\b(?:pos|neg)edge\b")
_LATCH = re.compile(r"\balways_latch\b")
_STATE = re.compile(r"\b(?:n(?:ext)?_?|c(?:urrent)?_?|present_?)?(?:state|fsm)\w*\b|\w+_state\b", re.IGNORECASE)


class Category(enum.StrEnum):
    """The kind of the reference's circuit. VerilogEval itself names none."""

    COMBINATIONAL = "combinational"  # no process waits for an edge
    CLOCKED = "clocked"  # registers, counters, shift registers and the like
    STATE_MACHINE = "state_machine"  # clocked, with a signal or an enumeration named as a state


def category(reference: str) -> Category:
    """The category of a problem from the text of its reference module."""
    code = blank_comments_and_strings(reference)
    if not _EDGE.search(code) and not _LATCH.search(code):
        return Category.COMBINATIONAL
    return Category.STATE_MACHINE if _STATE.search(code) else Category.CLOCKED
