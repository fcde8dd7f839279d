"""VerilogEval's problems from the web: whole and checked, or one line that says why not and what to do."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.util import Retry

from scripts.common.problems import read_problems
from scripts.verilog import archive_download, fetch_problems
from scripts.verilog.archive_download import content_sha256, folder_of_archive
from scripts.verilog.fetch_problems import main
from tests.unit.verilog.archive_server import ArchiveServer, archive_of, archive_server
from tests.unit.verilog.tools import PROBLEMS

FILES = {path.name: path.read_bytes() for path in PROBLEMS.iterdir()}
SPEC = {**FILES, "problems.txt": b"Prob001_latch_and\n"}
CODE = {**FILES, "Prob001_latch_and_ifc.txt": b"module TopModule (\n"}
ARCHIVE = archive_of({"dataset_spec-to-rtl": SPEC, "dataset_code-complete-iccad2023": CODE, "scripts": {"x": b"x"}})


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_problems, "KNOWN_SHA256", {"spec-to-rtl": content_sha256(SPEC)})
    no_wait = Retry(total=2, backoff_factor=0, status_forcelist=(503,))
    monkeypatch.setattr(archive_download.download, "__defaults__", (no_wait,))


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server(ARCHIVE) as server:
        yield server


def fetch(folder: Path, url: str, problems: str = "spec-to-rtl", sha256: str | None = None) -> Path:
    settings = json.dumps({"problems": problems, "problems_sha256": sha256})
    target = folder / problems
    main(["--settings", settings, "--url", url, "--output", str(target / "manifest.json")])
    return target


def failure(capsys: pytest.CaptureFixture[str], folder: Path, url: str, **options: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        fetch(folder, url, **options)
    assert ended.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    return lines[0]


def test_the_folder_is_the_archives_with_a_manifest(tmp_path: Path, server: ArchiveServer) -> None:
    folder = fetch(tmp_path, server.url)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"} == SPEC
    assert [problem.name for problem in read_problems(folder)] == ["Prob001_latch_and"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["content_sha256"] == content_sha256(SPEC)
    assert manifest["commit"] == "c498220d0a52248f8e3fdffe279075215bde2da6"


def test_the_other_set_comes_from_the_same_archive(
    tmp_path: Path, server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(tmp_path, server.url)
    folder = fetch(tmp_path, server.url, "code-complete")
    assert len(server.requested) == 1
    assert (folder / "Prob001_latch_and_ifc.txt").exists()
    assert f"content hash {content_sha256(CODE)}; not known beforehand: pin it" in capsys.readouterr().out
    fetch(tmp_path, server.url, "code-complete", content_sha256(CODE))
    assert "not known" not in capsys.readouterr().out


def test_the_content_hash_is_the_one_of_the_shells_tools(tmp_path: Path) -> None:
    for name, content in SPEC.items():
        (tmp_path / name).write_bytes(content)
    command = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    shown = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert content_sha256(SPEC) == shown.split()[0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_goes_on(
    tmp_path: Path, server: ArchiveServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    ranges: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(archive_download, "CHUNK_BYTES", 50)
    server.cut_bytes, server.ranges = 100, ranges
    assert "100 bytes are kept" in failure(capsys, tmp_path, server.url)
    assert not (tmp_path / "spec-to-rtl").exists()
    server.cut_bytes = None
    fetch(tmp_path, server.url)
    assert server.requested == [None, "bytes=100-"]


def test_more_bytes_than_the_archive_has_are_thrown_away(
    tmp_path: Path, server: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = tmp_path / f"{fetch_problems.VERILOG_EVAL_COMMIT}.tar.gz.part"
    partial.write_bytes(bytes(len(ARCHIVE) + 1))
    fetch(tmp_path, server.url)
    assert server.requested[-1] is None


def test_what_goes_on_from_other_bytes_is_found_out_and_deleted(
    tmp_path: Path, server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{fetch_problems.VERILOG_EVAL_COMMIT}.tar.gz.part").write_bytes(bytes(50))
    assert "damaged or incomplete" in failure(capsys, tmp_path, server.url)
    fetch(tmp_path, server.url)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Sign in</html>", "damaged or incomplete"),
        (ARCHIVE[:-40], "damaged or incomplete"),
        (ARCHIVE[: len(ARCHIVE) // 2] + b"x" + ARCHIVE[len(ARCHIVE) // 2 + 1 :], "damaged or incomplete"),
        (archive_of({"scripts": {"x": b"x"}}), "it has no folder dataset_spec-to-rtl"),
        (archive_of({"dataset_spec-to-rtl": {**SPEC, "x": b""}}), "its spec-to-rtl has the content hash"),
    ],
    ids=["not an archive", "truncated", "corrupt", "another archive", "another content"],
)
def test_what_is_not_the_archive_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    with archive_server(content) as server:
        assert message in failure(capsys, tmp_path, server.url)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_bad_input_leaves_what_was_there(
    tmp_path: Path, server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fetch(tmp_path, server.url)
    message = failure(capsys, tmp_path, server.url, sha256="0" * 64)
    assert f"hash {content_sha256(SPEC)}, expected 000" in message
    assert len(read_problems(folder)) == 1


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path, server: ArchiveServer) -> None:
    server.statuses = [503, 503]
    fetch(tmp_path, server.url)
    assert len(server.requested) == 3


@pytest.mark.parametrize("status", [404, 403, 500])
def test_an_error_of_the_server_is_one_line(
    tmp_path: Path, server: ArchiveServer, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    server.statuses = [status]
    message = failure(capsys, tmp_path, server.url)
    assert f"the server answered {status}" in message
    assert "set verilog.problems to its folder" in message


def test_no_network_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not reached" in failure(capsys, tmp_path, "http://127.0.0.1:9/archive.tar.gz")


def test_a_set_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "spec-to-rtl, code-complete" in failure(capsys, tmp_path, "http://127.0.0.1:9", problems="machine")


VERILOG_EVAL = Path(os.environ.get("VERILOG_EVAL_DIR", "(not set)")) / "dataset_spec-to-rtl"


@pytest.mark.skipif(
    not VERILOG_EVAL.is_dir(), reason="needs VerilogEval's problems: set VERILOG_EVAL_DIR to a checkout of it"
)
def test_the_known_hash_is_the_one_of_verilog_evals_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    files = {path.name: path.read_bytes() for path in VERILOG_EVAL.iterdir()}
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(archive_of({VERILOG_EVAL.name: files}))
    found = content_sha256(folder_of_archive(archive, VERILOG_EVAL.name))
    assert found == fetch_problems.KNOWN_SHA256["spec-to-rtl"]
