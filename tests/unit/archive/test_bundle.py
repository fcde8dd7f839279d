"""The archive: the same bytes for the same contents, and any change inside it is found."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from scripts.archive.bundle import SUMS_NAME, verify_bundle, write_bundle
from scripts.common.errors import UserError


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {"results/a.json": b"{}", "envs/x.txt": b"numpy==1\n", "deep/er/b.bin": bytes(range(256))}
    for name, content in contents.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: tmp_path / "source" / name for name in contents}


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def rewritten(path: Path, contents: dict[str, bytes]) -> None:
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_equal_contents_are_equal_bytes_whatever_the_order_times_and_modes(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    write_bundle(tmp_path / "one.tar.gz", files, {"COMMIT": "abc\n", "NOTE": "x"})
    for path in files.values():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    shuffled = dict(reversed(files.items()))
    write_bundle(tmp_path / "other.tar.gz", shuffled, {"NOTE": "x", "COMMIT": "abc\n"})
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()


def test_members_have_no_times_and_no_owners(tmp_path: Path, files: dict[str, Path]) -> None:
    write_bundle(tmp_path / "a.tar.gz", files, {"COMMIT": "abc\n"})
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        found = archive.getmembers()
    assert [member.name for member in found] == sorted([*files, "COMMIT", SUMS_NAME])
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in found} == {
        (0, 0, 0, "", "")
    }
    # Bytes 4 to 8 of a gzip file are its time.
    assert (tmp_path / "a.tar.gz").read_bytes()[4:8] == bytes(4)


def test_the_sums_are_those_that_sha256sum_checks(tmp_path: Path, files: dict[str, Path]) -> None:
    write_bundle(tmp_path / "a.tar.gz", files, {"COMMIT": "abc\n"})
    found = members(tmp_path / "a.tar.gz")
    lines = found.pop(SUMS_NAME).decode().splitlines()
    assert sorted(lines, key=lambda line: line[66:]) == [
        f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(found.items())
    ]
    assert verify_bundle(tmp_path / "a.tar.gz") == 4


def test_tampering_is_found(tmp_path: Path, files: dict[str, Path]) -> None:
    path = tmp_path / "a.tar.gz"
    write_bundle(path, files, {"COMMIT": "abc\n"})
    whole = members(path)
    for contents, message in (
        ({**whole, "results/a.json": b'{"x": 1}'}, "results/a.json is not what SHA256SUMS promises"),
        ({name: content for name, content in whole.items() if name != "COMMIT"}, "COMMIT is missing"),
        ({**whole, "extra": b""}, "extra is not listed in SHA256SUMS"),
        ({name: content for name, content in whole.items() if name != SUMS_NAME}, "no SHA256SUMS in it"),
    ):
        rewritten(path, contents)
        with pytest.raises(UserError, match=message):
            verify_bundle(path)
    rewritten(path, whole)
    assert verify_bundle(path) == 4


def test_a_damaged_file_is_found(tmp_path: Path, files: dict[str, Path]) -> None:
    path = tmp_path / "a.tar.gz"
    write_bundle(path, files, {})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"not a readable tar\.gz"):
        verify_bundle(path)


def test_a_missing_file_leaves_no_archive(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        write_bundle(tmp_path / "a.tar.gz", {**files, "gone": tmp_path / "gone"}, {})
    assert not (tmp_path / "a.tar.gz").exists()
