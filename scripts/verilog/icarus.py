"""One candidate before its bench: preprocess, compile, audit, simulate, judge.

VerilogEval's own command is `iverilog -Wall -Winfloop -Wno-timescale -g2012 -s tb`, then `vvp -n`. Here the candidate
is elaborated once more in the same compilation, alone (`-s TopModule`), for the audit; the processes of that lone
instance are removed before the run.
"""

from __future__ import annotations

import dataclasses
import re

from scripts.common.icarus import COMPILER_OUTPUT_BYTES, LANGUAGE_FLAG, OUT_OF_MEMORY, compiler_failure, first_line
from scripts.common.sandbox import CPU_STATUSES, FILE_SIZE_STATUS, Limits, Result, Sandbox
from scripts.verilog.audit import (
    PLAIN_DIRECTIVES,
    Compiled,
    compiled_refusal,
    directives,
    expanded_refusal,
    read_compiled,
    text_refusal,
)
from scripts.verilog.bench import TOP, HiddenBench
from scripts.verilog.lexer import strip_comments
from scripts.verilog.verdicts import Verdict

FLAGS = ("-Wall", "-Winfloop", "-Wno-timescale", LANGUAGE_FLAG)
CANDIDATE_FILE = "candidate.sv"
EXPANDED_FILE = "expanded.sv"
BENCH_FILE = "bench.sv"
REFERENCE_FILE = "reference.sv"
PROGRAM_FILE = "program.vvp"
SIMULATION_OUTPUT_BYTES = 4 << 20
DETAIL_CHARACTERS = 300


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the reference, run as the candidate, showed: samples that the bench checks, and the ports of the module."""

    samples: int
    inputs: frozenset[str]
    ports: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict and why; for a pass also how many samples were checked and the module's ports."""

    verdict: Verdict
    detail: str
    samples: int | None = None
    compiled: Compiled | None = None


@dataclasses.dataclass(frozen=True)
class Harness:
    """Judges candidates in `sandbox`; `timeout_sec` and `memory_bytes` hold for compiler and simulator each."""

    sandbox: Sandbox
    timeout_sec: float
    memory_bytes: int

    def judge(self, code: str, bench: HiddenBench, expected: Expectation | None) -> Judgement:
        """The verdict on `code`, a text with a module TopModule; without an expectation (for the reference itself) a
        run that ends with no mismatch in at least one sample passes."""
        judgement = self._judge(code, bench, expected)
        return dataclasses.replace(judgement, detail=bench.unhide(judgement.detail)[:DETAIL_CHARACTERS])

    def _judge(self, code: str, bench: HiddenBench, expected: Expectation | None) -> Judgement:
        text = strip_comments(code)
        if reason := text_refusal(text, bench):
            return Judgement(Verdict.REFUSED, reason)
        if directives(text) - PLAIN_DIRECTIVES:
            result = self._run(_expansion_command(), {CANDIDATE_FILE: text}, COMPILER_OUTPUT_BYTES)
            if result.status != 0:
                return _compiler_failure(result)
            text = strip_comments(result.output)
            if reason := text_refusal(text, bench) or expanded_refusal(text):
                return Judgement(Verdict.REFUSED, reason)
        files = {CANDIDATE_FILE: text, BENCH_FILE: bench.test, REFERENCE_FILE: bench.reference}
        result = self._run(_compile_command(bench.top), files, COMPILER_OUTPUT_BYTES)
        if result.status != 0:
            return _compiler_failure(result)
        try:
            compiled = read_compiled(result.output)
        except ValueError as error:
            return Judgement(Verdict.REFUSED, str(error))
        inputs = expected.inputs if expected else frozenset(n for n, d in compiled.ports.items() if d == "INPUT")
        ports = expected.ports if expected else frozenset(compiled.ports)
        if reason := compiled_refusal(compiled, inputs, bench, ports):
            return Judgement(Verdict.REFUSED, reason)
        result = self._run(["vvp", "-n", PROGRAM_FILE], {PROGRAM_FILE: compiled.program}, SIMULATION_OUTPUT_BYTES)
        judgement = judge_simulation(result, bench.verdict_text, expected.samples if expected else None)
        return dataclasses.replace(judgement, compiled=compiled)

    def _run(self, command: list[str], files: dict[str, str], file_bytes: int) -> Result:
        return self.sandbox.run(command, files, Limits(self.timeout_sec, self.memory_bytes, file_bytes))


def judge_simulation(result: Result, verdict_text: str, expected_samples: int | None) -> Judgement:
    """The verdict on a finished simulation: a pass is exit 0, exactly one verdict line, the samples expected, and no
    mismatch in them."""
    if result.status is None or result.status in CPU_STATUSES:
        return Judgement(Verdict.TIMEOUT, "the simulation did not end within its time")
    if result.status == FILE_SIZE_STATUS:
        return Judgement(Verdict.RESOURCE_LIMIT, "the simulation wrote more than it may")
    if OUT_OF_MEMORY.search(result.errors):
        return Judgement(Verdict.RESOURCE_LIMIT, "the simulation needed more memory than it may")
    if result.status != 0:
        return Judgement(Verdict.RUNTIME_ERROR, f"vvp ended with status {result.status}: {first_line(result.errors)}")
    pattern = re.compile(re.escape(verdict_text) + r" (\d+) in (\d+) samples")
    lines = pattern.findall(result.output)
    if len(lines) != 1 or result.output.count(verdict_text) != 1:
        return Judgement(Verdict.RUNTIME_ERROR, f"expected one verdict line, found {result.output.count(verdict_text)}")
    mismatches, samples = map(int, lines[0])
    if samples == 0 or (expected_samples is not None and samples != expected_samples):
        planned = "at least 1" if expected_samples is None else str(expected_samples)
        return Judgement(Verdict.RUNTIME_ERROR, f"the bench checked {samples} samples instead of {planned}")
    if mismatches:
        return Judgement(Verdict.MISMATCH, f"{mismatches} mismatches in {samples} samples", samples)
    return Judgement(Verdict.PASS, f"no mismatch in {samples} samples", samples)


def _expansion_command() -> list[str]:
    compiler = f"iverilog {LANGUAGE_FLAG} -E -o {EXPANDED_FILE} {CANDIDATE_FILE}"
    return ["sh", "-c", f"{compiler} >&2 && exec cat {EXPANDED_FILE}"]


def _compile_command(top: str) -> list[str]:
    compiler = ["iverilog", *FLAGS, "-s", top, "-s", TOP, "-o", PROGRAM_FILE]
    compiler += [CANDIDATE_FILE, BENCH_FILE, REFERENCE_FILE]
    return ["sh", "-c", f"{' '.join(compiler)} >&2 && exec cat {PROGRAM_FILE}"]


def _compiler_failure(result: Result) -> Judgement:
    failure, detail = compiler_failure(result)
    return Judgement(Verdict(failure), detail)
