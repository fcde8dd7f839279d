"""Fetching rows: what is recorded, what a broken network or disk leads to, and that no byte comes twice.

The client is the real one, in a process of its own, and its hub is a server on loopback (`fake_hub`).
"""

import functools
import hashlib
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.common.errors import UserError
from scripts.common.files import read_json, read_manifest
from tests.unit.data.fake_hub import TOKEN, Client, FakeHub, Fault, Repo, fake_hub, git_hash, wait_until

COMMIT = "c" * 40
ID = "owner/rows"
SMALL = b'{"prompt": "p", "response": "r"}\n' * 50
# Two and a half of the pieces in which the client writes what it receives.
PIECE = 10 * 1024 * 1024
LARGE = random.Random(0).randbytes(PIECE * 5 // 2)
LARGE_HASH = hashlib.sha256(LARGE).hexdigest()


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as served:
        files = {"small.jsonl": SMALL, "data/large.jsonl": LARGE, "README.md": b"# Rows\n"}
        served.repos[f"datasets/{ID}"] = Repo(files, COMMIT, large=frozenset({"data/large.jsonl"}))
        yield served


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Client:
    return Client(hub.url, tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out/manifest.json"


def fetch(client: Client, output: Path, name: str, revision: str | None = None, **env: str) -> str:
    return client.run("fetch_rows", f"{ID}:{name}", output, revision, **env)


def refusal(client: Client, output: Path, source: str, revision: str | None = None, **env: str) -> str:
    line = client.fail("fetch_rows", source, output, revision, **env)
    assert line.startswith("error: data.source: ") or "free" in line
    return line


def assert_large(output: Path) -> None:
    assert read_manifest(output, verify_hashes=True)["files"]["large.jsonl"]["sha256"] == LARGE_HASH
    assert sorted(path.name for path in output.parent.iterdir()) == ["large.jsonl", "manifest.json"]


@pytest.mark.parametrize(("name", "content"), [("small.jsonl", SMALL), ("data/large.jsonl", LARGE)])
def test_size_hash_commit_and_licence_are_recorded(client: Client, output: Path, name: str, content: bytes) -> None:
    fetch(client, output, name)
    file = Path(name).name
    assert (output.parent / file).read_bytes() == content
    assert read_json(output) == {
        "source": f"{ID}:{name}",
        "revision": None,
        "commit": COMMIT,
        "licence": "apache-2.0",
        "rows_file": file,
        "files": {file: {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }


def test_what_is_fetched_lies_in_hf_home_once(client: Client, output: Path) -> None:
    fetch(client, output, "data/large.jsonl")
    (blob,) = client.blobs(LARGE_HASH)
    assert blob.samefile(output.parent / "large.jsonl")


def test_a_repository_without_a_licence_says_so(hub: FakeHub, client: Client, output: Path) -> None:
    hub.repos[f"datasets/{ID}"].licence = None
    fetch(client, output, "small.jsonl")
    assert read_json(output)["licence"] is None


def test_a_small_file_may_come_without_its_size(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("HEAD", "/resolve/", promised_bytes=-1))
    hub.faults.append(Fault("GET", "/resolve/", content=SMALL[:-1]))
    fetch(client, output, "small.jsonl")
    assert (output.parent / "small.jsonl").read_bytes() == SMALL


@pytest.mark.parametrize("revision", ["v1", COMMIT])
def test_a_revision_is_resolved_first_and_everything_comes_from_its_commit(
    hub: FakeHub, client: Client, output: Path, revision: str
) -> None:
    fetch(client, output, "small.jsonl", revision)
    assert hub.requests[0].path == f"/api/datasets/{ID}/revision/{revision}"
    assert {request.path for request in hub.requests[1:]} == {f"/datasets/{ID}/resolve/{COMMIT}/small.jsonl"}
    assert read_json(output)["revision"] == revision
    assert read_json(output)["commit"] == COMMIT


def test_a_pinned_commit_in_the_cache_needs_no_network(hub: FakeHub, client: Client, output: Path) -> None:
    fetch(client, output, "small.jsonl", COMMIT)
    before = output.read_bytes()
    asked = len(hub.requests)
    fetch(client, output, "small.jsonl", COMMIT)
    fetch(client, output, "small.jsonl", COMMIT, HF_HUB_OFFLINE="1")
    assert len(hub.requests) == asked
    assert output.read_bytes() == before


def test_a_branch_stays_at_its_commit_when_offline(hub: FakeHub, client: Client, output: Path) -> None:
    fetch(client, output, "small.jsonl")
    asked = len(hub.requests)
    fetch(client, output, "small.jsonl", HF_HUB_OFFLINE="1")
    assert len(hub.requests) == asked
    assert read_json(output)["commit"] == COMMIT


def test_a_branch_that_moved_is_fetched_anew(hub: FakeHub, client: Client, output: Path) -> None:
    fetch(client, output, "small.jsonl")
    hub.repos[f"datasets/{ID}"] = Repo({"small.jsonl": SMALL * 2}, "d" * 40)
    fetch(client, output, "small.jsonl")
    assert read_json(output)["commit"] == "d" * 40
    assert (output.parent / "small.jsonl").read_bytes() == SMALL * 2


@pytest.mark.parametrize("reset", [False, True])
def test_a_dropped_connection_goes_on_where_it_was(hub: FakeHub, client: Client, output: Path, reset: bool) -> None:
    reset_when = functools.partial(client.has_received, LARGE_HASH, PIECE) if reset else None
    hub.faults.append(Fault("GET", "/cdn/", drop_after=PIECE * 3 // 2, reset_when=reset_when))
    fetch(client, output, "data/large.jsonl")
    assert [request.range for request in hub.gets("/cdn/")] == [None, f"bytes={PIECE}-"]
    assert_large(output)


def test_drops_do_not_count_while_they_bring_something(hub: FakeHub, client: Client, output: Path) -> None:
    for pieces in (1, 2):
        hub.faults.append(Fault("GET", "/cdn/", times=4, status=503))
        reset_when = functools.partial(client.has_received, LARGE_HASH, pieces * PIECE)
        hub.faults.append(Fault("GET", "/cdn/", drop_after=PIECE + 1, reset_when=reset_when))
    hub.faults.append(Fault("GET", "/cdn/", times=4, status=503))
    fetch(client, output, "data/large.jsonl")
    first, second, third = None, f"bytes={PIECE}-", f"bytes={2 * PIECE}-"
    assert [request.range for request in hub.gets("/cdn/")] == [first] * 5 + [second] * 5 + [third] * 5
    assert_large(output)


def test_a_killed_download_goes_on_where_it_was(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("GET", "/cdn/", stall_after=PIECE * 3 // 2))
    process = client.start("fetch_rows", f"{ID}:data/large.jsonl", output)
    wait_until(lambda: client.has_received(LARGE_HASH, PIECE))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not output.exists()
    fetch(client, output, "data/large.jsonl")
    assert [request.range for request in hub.gets("/cdn/")] == [None, f"bytes={PIECE}-"]
    assert_large(output)


def test_more_bytes_than_the_file_has_are_not_gone_on_from(hub: FakeHub, client: Client, output: Path) -> None:
    partial = client.hf_home / f"hub/datasets--owner--rows/blobs/{git_hash(SMALL)}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(SMALL * 2)
    fetch(client, output, "small.jsonl")
    assert [request.range for request in hub.gets("/resolve/")] == [None]


def test_a_wait_that_the_hub_asks_for_is_kept(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("GET", "/api/", status=429, headers={"Retry-After": "1"}))
    hub.faults.append(Fault("HEAD", "/resolve/", status=429, headers={"RateLimit": '"resolvers";r=0;t=1'}))
    hub.faults.append(Fault("GET", "/resolve/", status=429, headers={"Retry-After": "0"}))
    log = fetch(client, output, "small.jsonl")
    assert log.count("trying again in 1.0 s") == 2
    assert len(hub.gets("/resolve/")) == 2


@pytest.mark.parametrize("place", [("GET", "/api/"), ("HEAD", "/resolve/"), ("GET", "/cdn/")])
def test_an_error_of_the_server_is_tried_again_a_few_times(
    hub: FakeHub, client: Client, output: Path, place: tuple[str, str]
) -> None:
    hub.faults.append(Fault(*place, times=5, status=502))
    line = refusal(client, output, f"{ID}:data/large.jsonl")
    assert f"the hub answers 502 for the dataset {ID}: try again later" in line
    fetch(client, output, "data/large.jsonl")
    assert_large(output)


@pytest.mark.parametrize("name", ["small.jsonl", "data/large.jsonl"])
@pytest.mark.parametrize("damage", ["truncated", "changed", "longer"])
def test_damaged_content_is_fetched_anew(hub: FakeHub, client: Client, output: Path, name: str, damage: str) -> None:
    content = hub.repos[f"datasets/{ID}"].files[name]
    damaged = {"truncated": content[:-100], "changed": content[:-1] + b"?", "longer": content + b"?"}[damage]
    place = "/cdn/" if "large" in name else "/resolve/"
    hub.faults.append(Fault("GET", place, times=2, content=damaged))
    fetch(client, output, name)
    # Bytes that did not fit are not gone on from.
    assert [request.range for request in hub.gets(place)] == [None, None, None]
    assert (output.parent / Path(name).name).read_bytes() == content


def test_content_that_stays_damaged_is_one_line_and_not_kept(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("GET", "/resolve/", times=3, content=b"x" * len(SMALL)))
    line = refusal(client, output, f"{ID}:small.jsonl")
    assert "small.jsonl came with other content than the hub promises" in line
    assert client.blobs(git_hash(SMALL)) == []
    fetch(client, output, "small.jsonl")


def test_a_cached_file_that_was_changed_is_not_taken(hub: FakeHub, client: Client, output: Path) -> None:
    fetch(client, output, "small.jsonl", COMMIT)
    (blob,) = client.blobs(git_hash(SMALL))
    blob.write_bytes(b"edited")
    fetch(client, output, "small.jsonl", COMMIT)
    assert (output.parent / "small.jsonl").read_bytes() == SMALL


def test_a_gated_file_needs_a_token_and_the_cdn_does_not_see_it(hub: FakeHub, client: Client, output: Path) -> None:
    hub.repos[f"datasets/{ID}"].gated = True
    line = refusal(client, output, f"{ID}:data/large.jsonl")
    assert f"is gated: accept its terms at {hub.url}/datasets/{ID}, then set HF_TOKEN" in line
    assert len(hub.requests) == 2  # final errors are not tried again
    fetch(client, output, "data/large.jsonl", HF_TOKEN=TOKEN)
    assert_large(output)
    assert {request.authorization for request in hub.gets("/resolve/")} == {f"Bearer {TOKEN}"}
    assert {request.authorization for request in hub.gets("/cdn/")} == {None}


@pytest.mark.parametrize(
    ("source", "revision", "message"),
    [
        ("owner/none:small.jsonl", None, "the hub shows no dataset owner/none: check its name; if it is private"),
        (f"{ID}:small.jsonl", "v9", f"the dataset {ID} has no revision v9"),
        (f"{ID}:smal.jsonl", None, "has no file smal.jsonl; it has README.md, data/large.jsonl, small.jsonl"),
        ("a b:small.jsonl", None, "Repo id must"),
        (ID, None, "neither a file nor DATASET_ID:FILE"),
        ("./none:small.jsonl", None, "neither a file nor DATASET_ID:FILE"),
    ],
)
def test_what_is_not_there_is_one_line_at_once(
    hub: FakeHub, client: Client, output: Path, source: str, revision: str | None, message: str
) -> None:
    assert message in refusal(client, output, source, revision)
    assert len(hub.requests) <= 1


def test_a_refused_token_is_one_line(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("HEAD", "/resolve/", status=403))
    line = refusal(client, output, f"{ID}:small.jsonl")
    assert f"refuses access to the dataset {ID} (403): set HF_TOKEN to a token that may read it" in line


def test_no_network_is_one_line(client: Client, output: Path) -> None:
    # Nothing listens at port 9 of loopback.
    line = refusal(client, output, f"{ID}:small.jsonl", HF_ENDPOINT="http://127.0.0.1:9")
    assert "cannot reach http://127.0.0.1:9 (ConnectError: " in line
    assert "or download it elsewhere and set data.source to the local path" in line


def test_an_endpoint_that_is_no_hub_is_one_line(hub: FakeHub, client: Client, output: Path) -> None:
    hub.faults.append(Fault("GET", "/api/", status=200))
    assert f"{hub.url} does not answer as a hub does: check HF_ENDPOINT" in refusal(client, output, f"{ID}:small.jsonl")
    assert "does not answer as a hub does" in refusal(client, output, f"{ID}:small.jsonl", HF_ENDPOINT="hub.example")


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_offline_without_the_file_is_one_line(client: Client, output: Path, revision: str | None) -> None:
    line = refusal(client, output, f"{ID}:small.jsonl", revision, HF_HUB_OFFLINE="1")
    assert f"HF_HUB_OFFLINE is set, and not all of the dataset {ID} is in {client.hf_home}" in line


def test_too_little_space_is_one_line_before_the_download(hub: FakeHub, client: Client, output: Path) -> None:
    # An exabyte is more than any disk has, so that no disk has to be made small for this.
    hub.faults.append(Fault("HEAD", "/resolve/", promised_bytes=10**18))
    line = refusal(client, output, f"{ID}:data/large.jsonl")
    assert "1000000000.00 GB are to be written" in line
    assert "or set HF_HOME to a folder on a larger disk" in line
    assert hub.gets("/cdn/") == []


@pytest.mark.parametrize("old_bytes", [0, 300])
def test_the_target_needs_space_too_on_another_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_bytes: int
) -> None:
    # In this process, with invented numbers: a small file system cannot be made without privileges.
    from scripts.data import hub
    from scripts.data.hub_errors import Repo

    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("needs /dev/shm and the temporary folder on two file systems")
        target = Path(other)
        (target / "old.jsonl").write_bytes(b"o" * old_bytes)
        (tmp_path / "cached").write_bytes(b"c" * 500)
        free = {target: 800, tmp_path: 700}
        monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free[path]))
        repo = hub._Cache(Repo("dataset", ID, None, "data.source"))
        missing = [hub._RemoteFile("rows.jsonl", "", LARGE_HASH, 600)]
        if old_bytes:
            hub._require_space(repo, missing, [tmp_path / "cached"], target)
            return
        with pytest.raises(UserError, match="put HF_HOME on the same file system") as error:
            hub._require_space(repo, missing, [tmp_path / "cached"], target)
        assert str(error.value).startswith(f"{target}: ")


def test_a_disk_that_fills_up_is_one_line(client: Client, output: Path) -> None:
    # /dev/full answers each write as a full disk does.
    partial = client.hf_home / f"hub/datasets--owner--rows/blobs/{LARGE_HASH}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    line = client.fail("fetch_rows", f"{ID}:data/large.jsonl", output)
    assert f"{client.hf_home}: No space left on device: free some space there, then run the same again" in line
    partial.unlink()
    fetch(client, output, "data/large.jsonl")


def test_a_home_that_is_no_folder_is_one_line(client: Client, output: Path) -> None:
    client.hf_home.write_text("")
    assert "cannot be written" in client.fail("fetch_rows", f"{ID}:small.jsonl", output)


def test_a_local_file_is_linked(client: Client, output: Path, tmp_path: Path) -> None:
    rows = tmp_path / "my:rows.jsonl"
    rows.write_bytes(SMALL)
    client.run("fetch_rows", str(rows), output)
    manifest = read_json(output)
    assert (manifest["commit"], manifest["licence"], manifest["rows_file"]) == (None, None, "my:rows.jsonl")
    assert manifest["files"] == {
        "my:rows.jsonl": {"size_bytes": len(SMALL), "sha256": hashlib.sha256(SMALL).hexdigest()}
    }
    assert rows.samefile(output.parent / "my:rows.jsonl")


def test_rows_of_another_source_do_not_survive(client: Client, output: Path, tmp_path: Path) -> None:
    fetch(client, output, "small.jsonl")
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(SMALL)
    client.run("fetch_rows", str(rows), output)
    assert sorted(path.name for path in output.parent.iterdir()) == ["manifest.json", "rows.jsonl"]
    assert list(read_json(output)["files"]) == ["rows.jsonl"]


def test_a_failed_fetch_leaves_what_was_there(hub: FakeHub, client: Client, output: Path) -> None:
    fetch(client, output, "small.jsonl")
    process = client.start("fetch_rows", "owner/none:small.jsonl", output)
    process.communicate()
    assert process.returncode == 2
    read_manifest(output, verify_hashes=True)


@pytest.mark.parametrize("place", ["itself", "a folder in it"])
def test_a_folder_that_is_not_the_steps_own_is_left_alone(
    client: Client, output: Path, tmp_path: Path, place: str
) -> None:
    rows = (output.parent if place == "itself" else tmp_path) / "rows.jsonl"
    (output.parent / "sub" if place != "itself" else output.parent).mkdir(parents=True)
    other = output.parent / "other.txt"
    for path in (rows, other):
        path.write_bytes(SMALL)
    line = client.fail("fetch_rows", str(rows), output)
    assert "holds the source itself" in line or "a folder where only files of an earlier run should be" in line
    assert rows.exists()
    assert other.exists()


def test_rows_may_not_be_called_like_the_manifest(client: Client, output: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(SMALL)
    assert "rename it" in refusal(client, output, str(tmp_path / "manifest.json"))
