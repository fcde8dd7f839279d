"""VerilogEval's own verdicts: one letter a sample, from the log of its recipe (scripts/sv-iv-analyze and Makefile.in of
VerilogEval v2). A `.` is a pass; the others name the first thing in the log that tells why not."""

from __future__ import annotations

import io
import re

PASS = "."
TIMEOUT_LINE = "TIMEOUT"  # what the recipe appends when `timeout` ended the simulation; benches print it too
# The first line of the log that holds one of these decides, and in a line the first of them.
_DECISIVE = (
    ("syntax error", "S"),
    ("error: This assignment requires an explicit cast", "e"),
    ("error: Sized numeric constant must have a size greater than zero", "0"),
    ("warning: always_comb process has no sensitivities", "n"),
    ("found no sensitivities so it will never trigger", "n"),
    ("is declared here as wire", "w"),
    ("Unknown module type", "m"),
    ("Unable to bind wire/reg/memory `clk'", "c"),
    (TIMEOUT_LINE, "T"),
)
# Without such a line: an unbound name, any mention of an error, a verdict line without a mismatch.
_UNBOUND = "Unable to bind wire/reg"
_NO_MISMATCH = re.compile(r"^Mismatches: 0+ in \d+ samples$")
# Without these either: edges on a reset in the candidate's text are suspected, else it is a failure at run time.
_RESET = ("posedge reset", "negedge reset", "posedge r)")
LETTERS = ".SCe0nwmpcTrR"


def letter(log: str, code: str) -> str:
    """The letter for a candidate `code` whose compiler and simulator together printed `log`."""
    lines = list(io.StringIO(log, newline=None))  # as a text file is read
    for line in lines:
        for text, decided in _DECISIVE:
            if text in line:
                return decided
    if any(_UNBOUND in line for line in lines):
        return "p"
    if any("error" in line for line in lines):
        return "C"
    if any(_NO_MISMATCH.match(line) for line in lines):
        return PASS
    return "r" if any(text in line for line in io.StringIO(code, newline=None) for text in _RESET) else "R"
