"""One candidate before its bench: preprocess, compile, audit, simulate, judge.

VerilogEval's own command is `iverilog -Wall -Winfloop -Wno-timescale -g2012 -s tb`, then `vvp`. Here the candidate
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
    reach,
    read_compiled,
    text_refusal,
)
from scripts.verilog.bench import BENCH, TOP, HiddenBench
from scripts.verilog.letters import TIMEOUT_LINE, letter
from scripts.verilog.lexer import escape_backticks, strip_comments
from scripts.verilog.verdicts import Verdict

FLAGS = ("-Wall", "-Winfloop", "-Wno-timescale", LANGUAGE_FLAG)
CANDIDATE_FILE = "candidate.sv"
EXPANDED_FILE = "expanded.sv"
BENCH_FILE = "bench.sv"
REFERENCE_FILE = "reference.sv"
PROGRAM_FILE = "program.vvp"
SIMULATION_OUTPUT_BYTES = 4 << 20
DETAIL_CHARACTERS = 300
LOG_CHARACTERS = 20_000
# The limit of time is processor time, which a busy machine does not shorten; the wall clock is the limit behind it.
WALL_CLOCK_FACTOR = 4


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the reference, run as the candidate, showed: samples that the bench checks, and what was compiled."""

    samples: int
    compiled: Compiled


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict and why, VerilogEval's own letter (None where its recipe was not run), and what compiler and simulator
    said; once it was compiled also that, and for a full run how many samples were checked."""

    verdict: Verdict
    detail: str
    samples: int | None = None
    letter: str | None = None
    log: str = ""
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
        log: str | None = bench.unhide(judgement.log)
        if judgement.verdict in (Verdict.REFUSED, Verdict.COMPILE_ERROR):
            # It was not run, or failed in what only this harness compiles: VerilogEval's recipe knows its own answer.
            log = self._plain_log(code, bench)
        return dataclasses.replace(
            judgement,
            detail=bench.unhide(judgement.detail)[:DETAIL_CHARACTERS],
            letter=None if log is None else letter(log, code),
            log=_shortened(log or ""),
        )

    def _judge(self, code: str, bench: HiddenBench, expected: Expectation | None) -> Judgement:
        text = strip_comments(code)
        if reason := text_refusal(text, bench):
            return Judgement(Verdict.REFUSED, reason)
        log = ""
        if directives(text) - PLAIN_DIRECTIVES:
            result = self._run(_expansion_command(), {CANDIDATE_FILE: text}, COMPILER_OUTPUT_BYTES)
            if result.status != 0:
                return _compiler_failure(result, text, bench)
            log = result.errors
            text = escape_backticks(strip_comments(result.output))
            if reason := text_refusal(text, bench) or expanded_refusal(text):
                return Judgement(Verdict.REFUSED, reason)
        files = {CANDIDATE_FILE: text, BENCH_FILE: bench.test, REFERENCE_FILE: bench.reference}
        result = self._run(_compile_command(bench.top), files, COMPILER_OUTPUT_BYTES)
        if result.status != 0:
            return _compiler_failure(result, text, bench)
        log += result.errors
        try:
            compiled = read_compiled(result.output)
        except ValueError as error:
            return Judgement(Verdict.REFUSED, str(error))
        if reason := compiled_refusal(compiled, expected.compiled if expected else compiled, bench):
            return Judgement(Verdict.REFUSED, reason)
        result = self._run(["vvp", "-n", PROGRAM_FILE], {PROGRAM_FILE: compiled.program}, SIMULATION_OUTPUT_BYTES)
        judgement = judge_simulation(result, bench.verdict_text, expected.samples if expected else None)
        return dataclasses.replace(judgement, compiled=compiled, log=log + _simulation_log(result))

    def _plain_log(self, code: str, bench: HiddenBench) -> str | None:
        """What VerilogEval's own recipe prints for the candidate; None outside a sandbox, where it could do harm."""
        if not self.sandbox.prefix:
            return None
        files = {CANDIDATE_FILE: code, BENCH_FILE: bench.plain_test, REFERENCE_FILE: bench.plain_reference}
        compiler = " ".join(["iverilog", *FLAGS, "-s", BENCH, "-o", PROGRAM_FILE, *files])
        command = ["sh", "-c", f"{compiler} >&2 && exec vvp {PROGRAM_FILE}"]
        result = self._run(command, files, COMPILER_OUTPUT_BYTES)
        return result.errors + _simulation_log(dataclasses.replace(result, errors=""))

    def _run(self, command: list[str], files: dict[str, str], file_bytes: int) -> Result:
        limits = Limits(
            wall_clock_sec=self.timeout_sec * WALL_CLOCK_FACTOR,
            memory_bytes=self.memory_bytes,
            file_bytes=file_bytes,
            cpu_sec=self.timeout_sec,
        )
        return self.sandbox.run(command, files, limits)


def judge_simulation(result: Result, verdict_text: str, expected_samples: int | None) -> Judgement:
    """The verdict on a finished simulation: a pass is exit 0, exactly one verdict line, the samples expected, and no
    mismatch in them."""
    if _out_of_time(result):
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


def _out_of_time(result: Result) -> bool:
    return result.status is None or result.status in CPU_STATUSES


def _simulation_log(result: Result) -> str:
    return result.output + result.errors + (f"\n{TIMEOUT_LINE}\n" if _out_of_time(result) else "")


def _shortened(log: str) -> str:
    half = LOG_CHARACTERS // 2
    return log if len(log) <= LOG_CHARACTERS else f"{log[:half]}\n[... {len(log) - 2 * half} left out]\n{log[-half:]}"


def _expansion_command() -> list[str]:
    compiler = f"iverilog {LANGUAGE_FLAG} -E -o {EXPANDED_FILE} {CANDIDATE_FILE}"
    return ["sh", "-c", f"{compiler} >&2 && exec cat {EXPANDED_FILE}"]


def _compile_command(top: str) -> list[str]:
    compiler = ["iverilog", *FLAGS, "-s", top, "-s", TOP, "-o", PROGRAM_FILE]
    compiler += [CANDIDATE_FILE, BENCH_FILE, REFERENCE_FILE]
    return ["sh", "-c", f"{' '.join(compiler)} >&2 && exec cat {PROGRAM_FILE}"]


def _compiler_failure(result: Result, text: str, bench: HiddenBench) -> Judgement:
    failure, detail = compiler_failure(result)
    verdict = Verdict(failure)
    if verdict == Verdict.COMPILE_ERROR and (reason := reach(text, bench)):
        return Judgement(Verdict.REFUSED, reason)
    return Judgement(verdict, detail, log=result.errors + (TIMEOUT_LINE if verdict == Verdict.TIMEOUT else ""))
