"""Problems in VerilogEval's layout: a folder with ProbNNN_name_prompt.txt, _ref.sv and _test.sv for each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from scripts.common.errors import UserError

PROMPT_SUFFIX = "_prompt.txt"
REFERENCE_SUFFIX = "_ref.sv"
TEST_SUFFIX = "_test.sv"
SUFFIXES = (PROMPT_SUFFIX, REFERENCE_SUFFIX, TEST_SUFFIX)
VERILOG_EVAL_URL = "https://github.com/NVlabs/verilog-eval"
VERILOG_EVAL_COMMIT = "c498220d0a52248f8e3fdffe279075215bde2da6"


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
    """The problems in `folder`, sorted by name. Raises UserError for a missing folder and for a missing piece."""
    files = problem_files(folder)
    if not files:
        raise UserError(missing_folder_message(folder))
    names = sorted(
        {path.name.removesuffix(suffix) for path in files for suffix in SUFFIXES if str(path).endswith(suffix)}
    )
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
    prompt, reference, test = texts
    return Problem(name, prompt, reference, test)


def missing_folder_message(folder: Path) -> str:
    return (
        f"{folder}: no problems there; set verilog.problems to a folder in VerilogEval's layout, or put "
        f"dataset_spec-to-rtl of {VERILOG_EVAL_URL} at commit {VERILOG_EVAL_COMMIT} there"
    )
