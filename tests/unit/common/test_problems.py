"""A folder in VerilogEval's layout, complete or said to be incomplete."""

from pathlib import Path

import pytest

from scripts.common.errors import UserError
from scripts.common.files import write_manifest
from scripts.common.problems import problem_files, read_problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Prob002_b", "Prob001_a"):
        for suffix in ("_prompt.txt", "_ref.sv", "_test.sv"):
            (tmp_path / f"{name}{suffix}").write_text(f"{name}{suffix}")
    (tmp_path / "problems.txt").write_text("Prob001_a\nProb002_b\n")
    return tmp_path


def test_problems_come_sorted_with_their_three_texts(folder: Path) -> None:
    first, second = read_problems(folder)
    assert (first.name, second.name) == ("Prob001_a", "Prob002_b")
    assert (first.prompt, first.reference, first.test) == (
        "Prob001_a_prompt.txt",
        "Prob001_a_ref.sv",
        "Prob001_a_test.sv",
    )


def test_other_files_of_the_folder_are_no_problems(folder: Path) -> None:
    assert len(problem_files(folder)) == 6


@pytest.mark.parametrize("suffix", ["_prompt.txt", "_ref.sv", "_test.sv"])
def test_a_missing_piece_is_named(folder: Path, suffix: str) -> None:
    (folder / f"Prob002_b{suffix}").unlink()
    with pytest.raises(UserError, match=f"Prob002_b{suffix}: missing"):
        read_problems(folder)


def test_text_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "Prob001_a_ref.sv").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"Prob001_a_ref\.sv: not UTF-8"):
        read_problems(folder)


@pytest.mark.parametrize("name", ["absent", "."])
def test_without_problems_the_message_says_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"verilog\.problems.*github\.com/NVlabs/verilog-eval at commit c498220"):
        read_problems(tmp_path / name)


def test_version_1_of_verilog_eval_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "VerilogEval_Human.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"holds VerilogEval_Human\.jsonl, as VerilogEval v1 did"):
        read_problems(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"problems\.jsonl: a file; set verilog\.problems to a folder"):
        read_problems(tmp_path / "problems.jsonl")


def test_a_folder_above_the_problems_is_told_apart(folder: Path) -> None:
    below = folder.rename(folder.parent / "below")
    (folder / "README.md").parent.mkdir()
    below = below.rename(folder / "dataset_spec-to-rtl")
    with pytest.raises(UserError, match=f"no problems there, but in {below}"):
        read_problems(folder)


def test_a_name_that_no_file_of_results_could_hold_is_named(folder: Path) -> None:
    (folder / "Prob 3_prompt.txt").write_text("x")
    with pytest.raises(UserError, match="'Prob 3' is no name of a problem"):
        read_problems(folder)


def test_an_empty_piece_is_named(folder: Path) -> None:
    (folder / "Prob001_a_test.sv").write_text(" \n")
    with pytest.raises(UserError, match=r"Prob001_a_test\.sv: empty"):
        read_problems(folder)


def test_downloaded_problems_are_what_was_downloaded(folder: Path) -> None:
    write_manifest(folder)
    assert len(read_problems(folder)) == 2
    (folder / "Prob001_a_test.sv").write_text("Prob001_b_test.sv")
    with pytest.raises(UserError, match=r"Prob001_a_test\.sv: its content is not what .*manifest\.json promises"):
        read_problems(folder)
