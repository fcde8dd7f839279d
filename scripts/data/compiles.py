"""Rows whose answer Icarus Verilog cannot compile.

An answer is compiled alone, by VerilogEval's language flag and without a code generator (`-t null`), in the sandbox: it
is hostile code, which may include files, fill memory or never end. One that lacks the definition of a module that it
instantiates fails too.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.common.files import file_lock, fingerprint
from scripts.common.icarus import (
    COMPILER_OUTPUT_BYTES,
    LANGUAGE_FLAG,
    WorkerSettings,
    compiler_failure,
    icarus_version,
    icarus_workers,
)
from scripts.common.jsonl_store import JsonlStore
from scripts.common.sandbox import Limits, Sandbox
from scripts.data.codev import Sample

CODE_FILE = "answer.sv"
COMMAND = ("iverilog", LANGUAGE_FLAG, "-t", "null", CODE_FILE)
REASON_CHARACTERS = 200
_UNKNOWN_MODULE = re.compile(r"Unknown module type: (\S+)")


def compile_failures(samples: Sequence[Sample], settings: WorkerSettings, state: Path, jobs: int) -> list[str | None]:
    """Why each sample's answer does not compile, `jobs` at a time; None for one that does.

    Verdicts are kept in a folder below `state` named by all that decides them, the moment they are there: a run that
    was killed compiles only what is missing. Identical answers are compiled once.
    """
    keys = [hashlib.sha256(sample.answer.encode(errors="surrogatepass")).hexdigest() for sample in samples]
    decides = {"icarus_version": icarus_version(), "command": COMMAND, **dataclasses.asdict(settings)}
    folder = state / fingerprint(decides)
    with file_lock(folder / "lock"):
        store = JsonlStore(folder / "verdicts.jsonl", lambda row: str(row["sha256"]))
        answers = {key: sample.answer for key, sample in zip(keys, samples, strict=True)}
        missing = {key: answer for key, answer in answers.items() if key not in store.rows}
        if missing:
            with icarus_workers(settings.sandboxed, jobs) as workers:
                verdicts = workers.run(functools.partial(compile_failure, workers.sandbox, settings), missing.items())
                done = len(answers) - len(missing)
                for key, reason in tqdm(
                    verdicts, "compile", total=len(answers), initial=done, unit="answer", mininterval=1
                ):
                    store.append({"sha256": key, "reason": reason})
    return [store.rows[key]["reason"] for key in keys]


def compile_failure(sandbox: Sandbox, settings: WorkerSettings, code: str) -> str | None:
    """Why `code` does not compile, in one line; None if it does."""
    limits = Limits(settings.timeout_sec, settings.memory_bytes, COMPILER_OUTPUT_BYTES)
    result = sandbox.run(COMMAND, {CODE_FILE: code}, limits)
    if result.status == 0:
        return None
    if unknown := dict.fromkeys(_UNKNOWN_MODULE.findall(result.errors)):
        reason = f"unknown module type: {', '.join(unknown)} (instantiated, not defined)"
    else:
        reason = compiler_failure(result)[1].replace(f"{CODE_FILE}:", "line ")
    printable = "".join(character if character.isprintable() else "?" for character in reason)
    return printable if len(printable) <= REASON_CHARACTERS else f"{printable[: REASON_CHARACTERS - 1]}…"
