"""Problems in VerilogEval's layout: a folder with ProbNNN_name_prompt.txt, _ref.sv and _test.sv for each."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from scripts.common.errors import UserError
from scripts.common.files import MANIFEST_NAME, read_manifest

PROMPT_SUFFIX = "_prompt.txt"
REFERENCE_SUFFIX = "_ref.sv"
TEST_SUFFIX = "_test.sv"
SUFFIXES = (PROMPT_SUFFIX, REFERENCE_SUFFIX, TEST_SUFFIX)
VERILOG_EVAL_URL = "https://github.com/NVlabs/verilog-eval"
VERILOG_EVAL_COMMIT = "c498220d0a52248f8e3fdffe279075215bde2da6"
# Sets of problems that are downloaded: the name in the configuration, the folder in VerilogEval's repository.
VERILOG_EVAL_FOLDERS = {
    "spec-to-rtl": "dataset_spec-to-rtl",
    "code-complete": "dataset_code-complete-iccad2023",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One problem: the task in words, the reference module `RefModule` and the bench `tb` that compares the two."""

    name: str
    prompt: str
    reference: str
    test: str


def problem_files(folder: Path) -> list[Path]:
    """The problem files in `folder`, sorted; empty where the folder is missing or holds none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))


def read_problems(folder: Path) -> list[Problem]:
    """The problems in `folder`, sorted by name. Raises UserError for a missing folder, another layout, a missing piece,
    and for a downloaded folder whose files are no longer what was downloaded."""
    files = problem_files(folder)
    if not files:
        raise UserError(_no_problems_message(folder))
    if (folder / MANIFEST_NAME).exists():
        read_manifest(folder / MANIFEST_NAME, verify_hashes=True)
    names = sorted(
        {path.name.removesuffix(suffix) for path in files for suffix in SUFFIXES if path.name.endswith(suffix)}
    )
    if strange := next((name for name in names if not re.fullmatch(r"\w+", name, re.ASCII)), None):
        raise UserError(f"{folder}: {strange!r} is no name of a problem: use letters, digits and '_'; rename its files")
    return [read_problem(folder, name) for name in names]


def read_problem(folder: Path, name: str) -> Problem:
    texts = []
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: missing, the problem {name} needs it; add it or remove {name}_*") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        if not texts[-1].strip():
            raise UserError(f"{path}: empty; fill it or remove {name}_*")
    prompt, reference, test = texts
    return Problem(name, prompt, reference, test)


def _no_problems_message(folder: Path) -> str:
    layout = "VerilogEval v2's layout (NAME_prompt.txt, NAME_ref.sv, NAME_test.sv)"
    if folder.is_file():
        return f"{folder}: a file; set verilog.problems to a folder in {layout}"
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    if below := next((path for path in inside if problem_files(path)), None):
        return f"{folder}: no problems there, but in {below}; set verilog.problems to {below}"
    if old := next((path for path in inside if path.name.endswith((".jsonl", ".jsonl.gz"))), None):
        return (
            f"{folder}: holds {old.name}, as VerilogEval v1 did; version 1 is not supported: set verilog.problems to "
            f"spec-to-rtl, or to a folder in {layout}"
        )
    return (
        f"{folder}: no problems there; set verilog.problems to {' or '.join(VERILOG_EVAL_FOLDERS)} (downloaded from "
        f"{VERILOG_EVAL_URL} at commit {VERILOG_EVAL_COMMIT}) or to a folder in {layout}"
    )
