"""The list of the problems' names, or one line that says what is missing."""

import shutil
from pathlib import Path

import pytest

from scripts.verilog.require_problems import main
from tests.unit.verilog.tools import PROBLEMS


def test_the_entry_script_lists_the_names(tmp_path: Path) -> None:
    main(["--folder", str(PROBLEMS), "--output", str(tmp_path / "problems.txt")])
    assert (tmp_path / "problems.txt").read_text() == "Prob001_latch_and\n"


def test_the_entry_script_stops_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(PROBLEMS, tmp_path / "problems")
    (tmp_path / "problems/Prob001_latch_and_test.sv").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["--folder", str(tmp_path / "problems"), "--output", str(tmp_path / "list.txt")])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "list.txt").exists()
