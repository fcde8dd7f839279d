"""The vocabulary of verdicts: the one place that names what can become of a sample."""

from __future__ import annotations

import enum


class Verdict(enum.StrEnum):
    """What became of one sample. Only `pass` counts for pass@k."""

    PASS = "pass"  # every sample of the bench matched the reference
    MISMATCH = "mismatch"  # it ran to the end, and some output differed
    COMPILE_ERROR = "compile_error"  # Icarus refused it, on its own or with the bench
    RUNTIME_ERROR = "runtime_error"  # the simulator failed, or the simulation ended before its time
    TIMEOUT = "timeout"  # compiler or simulator reached its limit of time
    RESOURCE_LIMIT = "resource_limit"  # compiler or simulator reached its limit of memory or output
    REFUSED = "refused"  # it uses what could cheat or reach files: see scripts/verilog/audit.py
    TRUNCATED = "truncated"  # the answer was cut off before its module was complete
    NO_MODULE = "no_module"  # no complete module TopModule in the answer
    UNSOLVABLE = "unsolvable"  # the problem's own reference does not pass its bench on this simulator


VERDICTS = tuple(verdict.value for verdict in Verdict)
