"""A base model in a bucket: staged whole, resumed, checked; fsspec's memory:// and file:// stand for the bucket."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from scripts.common.files import read_manifest
from scripts.data import base_model, bucket_model

URL = "memory://models/small"
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40, "tokenizer.json": b"[]", "README.md": b"#"}
NAMES = ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    files = fsspec.filesystem("memory")
    for name, content in FILES.items():
        files.pipe_file(f"/models/small/{name}", content)
    monkeypatch.setattr(bucket_model, "BLOCK_BYTES", 1000)
    yield files
    files.rm("/models", recursive=True)


def place(tmp_path: Path, url: str = URL) -> dict:
    output = tmp_path / "base/manifest.json"
    settings = json.dumps({"source": url, "revision": None, "staging_dir": str(tmp_path / "staging")})
    base_model.main(["--settings", settings, "--output", str(output)])
    return read_manifest(output, verify_hashes=True)


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str = URL) -> str:
    with pytest.raises(SystemExit) as status:
        place(tmp_path, url)
    assert status.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    return line


def staged(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "staging").iterdir() if path.is_dir()]


def test_the_models_files_are_placed_with_their_hashes(tmp_path: Path) -> None:
    manifest = place(tmp_path)
    assert sorted(manifest["files"]) == NAMES
    assert manifest["source"] == URL
    for name in NAMES:
        assert (tmp_path / "base" / name).read_bytes() == FILES[name]


def test_any_file_system_of_fsspec_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    assert sorted(place(tmp_path, f"file://{folder}")["files"]) == NAMES


def test_a_broken_download_goes_on_where_it_was(
    tmp_path: Path, bucket: MemoryFileSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection fails at the fifth block; the next try asks for the rest only."""
    asked: list[int] = []
    blocks = itertools.count(1)
    cat_file = MemoryFileSystem.cat_file

    def failing(self: MemoryFileSystem, path: str, start: int, end: int) -> bytes:
        if next(blocks) == 5:
            raise ConnectionResetError("reset")
        if path.endswith("model.safetensors"):
            asked.append(start)
        return bytes(cat_file(self, path, start=start, end=end))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", failing)
    assert "ConnectionResetError: reset" in refused(tmp_path, capsys)
    assert not (tmp_path / "base/manifest.json").exists()
    place(tmp_path)
    assert asked == [*range(0, 3000, 1000), *range(3000, 10240, 1000)]


def test_what_is_staged_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    monkeypatch.setattr(MemoryFileSystem, "cat_file", None)
    place(tmp_path)


def test_a_damaged_staged_file_is_fetched_again(tmp_path: Path) -> None:
    place(tmp_path)
    (folder,) = staged(tmp_path)
    (folder / "model.safetensors").unlink()  # it is linked to the model's
    (folder / "model.safetensors").write_bytes(b"x" * len(FILES["model.safetensors"]))
    place(tmp_path)
    assert (tmp_path / "base/model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_file_that_changed_in_the_bucket_is_another_model(tmp_path: Path, bucket: MemoryFileSystem) -> None:
    place(tmp_path)
    bucket.pipe_file("/models/small/config.json", b"[]")
    place(tmp_path)
    assert (tmp_path / "base/config.json").read_bytes() == b"[]"
    assert len(staged(tmp_path)) == 2


def test_a_full_disk_is_said_before_anything_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 5000})())
    assert "set model.staging_dir to a folder on a larger disk" in refused(tmp_path, capsys)
    assert not staged(tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://models/none", "cannot be read (FileNotFoundError"),
        ("nonsense://models", "cannot be read (ValueError: Protocol not known: nonsense)"),
    ],
)
def test_a_place_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, message: str
) -> None:
    assert message in refused(tmp_path, capsys, url)


def test_a_folder_without_weights_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fsspec.filesystem("memory").rm("/models/small/model.safetensors")
    assert "holds no .safetensors file" in refused(tmp_path, capsys)
