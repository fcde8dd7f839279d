"""The base model in place: from a local folder or from a hub, with what it is, and nothing of another model.

The hub is a server on loopback (`fake_hub`); faults of the network are tested with the rows, through the same code.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.common.files import read_json, read_manifest
from scripts.data import base_model
from tests.unit.data.fake_hub import Client, FakeHub, Fault, Repo, fake_hub

COMMIT = "a" * 40
ID = "owner/model"
WEIGHTS = b"weights" * 1000
FILES = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "chat_template.jinja": b"{{ messages }}",
    "tokenizer.model": b"t",
    "merges.txt": b"m",
}
IGNORED = {"README.md": b"#", "picture.png": b"p", "original/params.json": b"{}", "manifest.json": b"[]"}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as served:
        large = frozenset({"model.safetensors"})
        served.repos[f"models/{ID}"] = Repo({**FILES, **IGNORED}, COMMIT, large, licence="gemma")
        yield served


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Client:
    return Client(hub.url, tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "base/manifest.json"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "local"
    for name, content in {**FILES, **IGNORED}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def place(source: str | Path, output: Path) -> None:
    settings = json.dumps({"source": str(source), "revision": None})
    base_model.main(["--settings", settings, "--output", str(output)])


def test_a_hub_model_is_recorded_with_commit_licence_and_hashes(client: Client, output: Path) -> None:
    client.run("base_model", ID, output)
    manifest = read_manifest(output, verify_hashes=True)
    assert {key: manifest[key] for key in ("source", "revision", "commit", "licence")} == {
        "source": ID,
        "revision": None,
        "commit": COMMIT,
        "licence": "gemma",
    }
    assert manifest["files"] == {
        name: {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(FILES.items())
    }
    assert sorted(path.name for path in output.parent.iterdir()) == sorted([*FILES, "manifest.json"])


def test_only_the_files_of_the_model_are_asked_for(hub: FakeHub, client: Client, output: Path) -> None:
    client.run("base_model", ID, output, "v1")
    asked = {request.path.rpartition(f"/resolve/{COMMIT}/")[2] for request in hub.gets("/resolve/")}
    assert asked == set(FILES)


def test_a_pinned_model_in_the_cache_needs_no_network(hub: FakeHub, client: Client, output: Path) -> None:
    client.run("base_model", ID, output, COMMIT)
    before, asked = output.read_bytes(), len(hub.requests)
    client.run("base_model", ID, output, COMMIT, HF_HUB_OFFLINE="1")
    assert (output.read_bytes(), len(hub.requests)) == (before, asked)


def test_a_model_half_fetched_is_completed(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("GET", "/cdn/", times=5, status=503))
    assert "the hub answers 503" in client.fail("base_model", ID, output, COMMIT)
    assert "HF_HUB_OFFLINE" in client.fail("base_model", ID, output, COMMIT, HF_HUB_OFFLINE="1")
    client.run("base_model", ID, output, COMMIT)
    assert len(hub.gets("/config.json")) == 1
    read_manifest(output, verify_hashes=True)


def test_changed_weights_are_refused(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("GET", "/cdn/", times=3, content=WEIGHTS[::-1]))
    line = client.fail("base_model", ID, output)
    assert line.startswith("error: model.source: model.safetensors came with other content")


def test_a_repository_without_weights_is_refused(hub: FakeHub, client: Client, output: Path) -> None:
    del hub.repos[f"models/{ID}"].files["model.safetensors"]
    assert f"{ID} holds no .safetensors file" in client.fail("base_model", ID, output)
    assert hub.gets("/resolve/") == []


def test_a_local_folder_is_linked(local: Path, output: Path) -> None:
    place(local, output)
    manifest = read_manifest(output, verify_hashes=True)
    assert (manifest["commit"], manifest["licence"]) == (None, None)
    assert sorted(manifest["files"]) == sorted(FILES)
    assert all((local / name).samefile(output.parent / name) for name in FILES)
    assert (local / "manifest.json").read_bytes() == b"[]"


def test_links_in_the_source_become_files(local: Path, output: Path, tmp_path: Path) -> None:
    (local / "model.safetensors").rename(tmp_path / "blob")
    (local / "model.safetensors").symlink_to(tmp_path / "blob")
    place(local, output)
    assert not (output.parent / "model.safetensors").is_symlink()
    assert (output.parent / "model.safetensors").read_bytes() == WEIGHTS


def test_nothing_of_another_model_is_left(local: Path, output: Path) -> None:
    place(local, output)
    (local / "merges.txt").unlink()
    (local / "model.safetensors").rename(local / "model-00001-of-00001.safetensors")
    place(local, output)
    names = sorted({*FILES, "model-00001-of-00001.safetensors"} - {"merges.txt", "model.safetensors"})
    assert sorted(read_json(output)["files"]) == names
    assert sorted(path.name for path in output.parent.iterdir()) == sorted([*names, "manifest.json"])


def test_another_file_system_gets_copies(local: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A second file system cannot be made without privileges: linking fails as it does between two.
    monkeypatch.setattr(os, "link", _fail_with(errno.EXDEV))
    place(local, output)
    read_manifest(output, verify_hashes=True)
    assert not (local / "model.safetensors").samefile(output.parent / "model.safetensors")


def test_a_target_that_fills_up_is_one_line(
    local: Path, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "link", _fail_with(errno.EXDEV))
    monkeypatch.setattr(shutil, "copyfile", _fail_with(errno.ENOSPC))
    with pytest.raises(SystemExit) as exit_info:
        place(local, output)
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {output.parent}: No space left on device: free some space there, then run the same again\n"
    )
    assert not output.exists()


@pytest.mark.parametrize("source", ["./nowhere", "nowhere", "a/b/c"])
def test_what_is_neither_a_folder_nor_an_id_is_one_line(
    source: str, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        place(source, output)
    assert "neither a folder nor a Hugging Face id" in capsys.readouterr().err
    assert not output.exists()


def test_a_folder_without_weights_is_one_line(local: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (local / "model.safetensors").unlink()
    with pytest.raises(SystemExit):
        place(local, output)
    assert "holds no .safetensors file" in capsys.readouterr().err


def _fail_with(number: int) -> Callable[[object, object], None]:
    def failing(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing
