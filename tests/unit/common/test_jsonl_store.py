"""A side file that survives its writer: what was kept is found, what was torn is written again."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.common.errors import UserError
from scripts.common.jsonl_store import JsonlStore


def row(name: str) -> dict[str, Any]:
    return {"name": name, "text": "é\nx"}


def store(path: Path) -> JsonlStore[str]:
    return JsonlStore(path, lambda row: row["name"])


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    store(tmp_path / "state/rows.jsonl").append(row("a"))
    assert store(tmp_path / "state/rows.jsonl").rows == {"a": row("a")}


@pytest.mark.parametrize("kept", range(1, len(json.dumps(row("b"))) + 1))
def test_a_torn_last_line_is_cut_off_and_written_again(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "rows.jsonl"
    store(path).append(row("a"))
    whole = path.read_bytes()
    store(path).append(row("b"))
    path.write_bytes(path.read_bytes()[: len(whole) + kept])
    torn = store(path)
    assert list(torn.rows) == ["a"]
    torn.append(row("b"))
    assert list(store(path).rows) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"name"', "not a line of JSON"),
        (b"\xff", "not a line of JSON"),
        (b'{"other": 1}', r"not a row of this file \(KeyError\('name'\)\)"),
        (b"3", "not a row of this file"),
    ],
)
def test_any_other_line_that_is_not_its_own_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(row("a")).encode() + b"\n" + line + b"\n")
    with pytest.raises(UserError, match=rf"rows\.jsonl:2: {message}.*delete the file"):
        store(path)


def test_a_row_without_a_key_is_not_written(tmp_path: Path) -> None:
    rows = store(tmp_path / "rows.jsonl")
    with pytest.raises(KeyError):
        rows.append({})
    assert not (tmp_path / "rows.jsonl").exists()
