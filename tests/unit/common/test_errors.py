"""A user's mistake is one line and exit status 2; a defect keeps its traceback."""

from collections.abc import Sequence

import pytest

from scripts.common.errors import UserError, entry_point


def test_a_user_error_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    @entry_point
    def main(argv: Sequence[str] | None = None) -> None:
        raise UserError("rows.jsonl:3: no prompt;\n   add one")

    with pytest.raises(SystemExit) as exit_info:
        main([])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "error: rows.jsonl:3: no prompt; add one\n"


def test_other_errors_pass() -> None:
    @entry_point
    def main(argv: Sequence[str] | None = None) -> None:
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        main([])
