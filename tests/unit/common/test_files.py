"""Files appear whole or not at all; a manifest is a promise that is checked."""

import json
from pathlib import Path

import pytest

from scripts.common.errors import UserError
from scripts.common.files import (
    atomic_writer,
    fingerprint,
    read_json,
    read_jsonl,
    read_manifest,
    write_json,
    write_jsonl,
    write_manifest,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    with pytest.raises(UnicodeEncodeError), atomic_writer(path) as handle:
        handle.write("half, then what UTF-8 cannot hold: \ud800")
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_json_lines_round_trip(tmp_path: Path) -> None:
    rows = [{"text": "line\u2028break\n"}, {"text": "é"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == rows


@pytest.mark.parametrize("line", [b"{broken", b"[1]", b'{"a": "\xff"}', b""])
def test_a_bad_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(UserError, match=r"rows\.jsonl:2:"):
        list(read_jsonl(path))


def test_fingerprint_ignores_key_order_and_sees_values() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "weights").write_bytes(b"12345")
    (tmp_path / "sub/config.json").write_text("{}")
    return write_manifest(tmp_path, {"source": "test"})


def test_a_manifest_lists_every_file(model: Path) -> None:
    manifest = read_manifest(model, verify_hashes=True)
    assert manifest["source"] == "test"
    assert set(manifest["files"]) == {"weights", "sub/config.json"}
    assert manifest["files"]["weights"]["size_bytes"] == 5


def test_a_missing_or_shortened_file_is_named(model: Path) -> None:
    (model.parent / "weights").write_bytes(b"123")
    with pytest.raises(UserError, match=r"weights.*found 3 bytes"):
        read_manifest(model)
    (model.parent / "weights").unlink()
    with pytest.raises(UserError, match=r"weights.*found nothing"):
        read_manifest(model)


def test_changed_content_is_found_by_hash(model: Path) -> None:
    (model.parent / "weights").write_bytes(b"54321")
    read_manifest(model)
    with pytest.raises(UserError, match="weights"):
        read_manifest(model, verify_hashes=True)


def test_write_json_is_valid_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": None})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None}
