"""Checkpoints in a bucket, against a storage emulator on loopback, by the client that Google's own storage gets."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.common.errors import UserError
from scripts.train.bucket import Bucket
from scripts.train.checkpoints import CheckpointStore
from tests.unit.buckets import gs_bucket
from tests.unit.train.test_checkpoints import SIZE_BYTES, filled_with, newest_position


@pytest.fixture(scope="module")
def runs() -> Iterator[str]:
    with gs_bucket("runs") as url:
        yield url


@pytest.fixture
def bucket(runs: str, request: pytest.FixtureRequest) -> Bucket:
    """A path of the test's own in the bucket."""
    return Bucket(f"{runs}/{request.node.name}")


def write(store: CheckpointStore, *positions: int) -> None:
    for position in positions:
        store.write(position, filled_with(str(position % 10)), SIZE_BYTES)
    store.close()


def test_a_machine_with_an_empty_disk_goes_on_from_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    write(CheckpointStore(tmp_path / "first", 2, bucket), 3, 6, 9)
    assert sorted(bucket.complete_folders()) == ["6", "9"]
    newest = CheckpointStore(tmp_path / "second", 2, bucket).newest()
    assert newest is not None
    assert newest.position == 9
    assert (newest.folder / "arrays/data").read_text() == "9" * SIZE_BYTES


def test_the_bucket_is_used_where_it_is_ahead_of_the_disk(bucket: Bucket, tmp_path: Path) -> None:
    write(CheckpointStore(tmp_path / "first", 2, bucket), 3)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    write(CheckpointStore(tmp_path / "first", 2, bucket), 6)
    assert newest_position(CheckpointStore(tmp_path / "second", 2, bucket)) == 6


def test_a_copy_that_was_cut_off_does_not_count(bucket: Bucket, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "first", 2, bucket)
    write(store, 3, 6)
    files, root = bucket._opened
    files.rm_file(f"{root}/6/manifest.json")  # written last, removed first
    assert newest_position(CheckpointStore(tmp_path / "second", 2, bucket)) == 3


def test_a_damaged_copy_is_passed_over(bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(CheckpointStore(tmp_path / "first", 2, bucket), 3, 6)
    files, root = bucket._opened
    files.pipe_file(f"{root}/6/arrays/data", b"7" * SIZE_BYTES)
    assert newest_position(CheckpointStore(tmp_path / "second", 2, bucket)) == 3
    assert f"warning: checkpoint {bucket.url}/6: " in capsys.readouterr().err


def test_a_damaged_local_checkpoint_comes_back_from_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    write(CheckpointStore(tmp_path, 2, bucket), 3, 6)
    (tmp_path / "6/arrays/data").write_text("damaged")
    newest = CheckpointStore(tmp_path, 2, bucket).newest()
    assert newest is not None
    assert newest.position == 6
    assert (newest.folder / "arrays/data").read_text() == "6" * SIZE_BYTES


def test_a_bucket_lost_in_mid_run_costs_a_warning_and_is_caught_up(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path, 3, bucket)
    store.write(3, filled_with("3"), SIZE_BYTES)
    files, _ = bucket._opened
    with monkeypatch.context() as patch:

        def refuse(*_: object, **__: object) -> None:
            raise OSError("connection reset")

        patch.setattr(files, "put_file", refuse)
        store.write(6, filled_with("6"), SIZE_BYTES)
        store._finish_upload()
    assert f"warning: {bucket.url}: OSError: connection reset: the newest checkpoint is in" in capsys.readouterr().err
    write(store, 9)
    assert sorted(bucket.complete_folders()) == ["3", "6", "9"]


def test_training_does_not_start_without_its_bucket(runs: str, tmp_path: Path) -> None:
    """It would begin again from the first step while its checkpoints lie there."""
    store = CheckpointStore(tmp_path, 2, Bucket("gs://no-such-bucket/path"))
    with pytest.raises(UserError, match=r"gs://no-such-bucket/path: .*see that the bucket exists"):
        store.newest()


def test_a_scheme_that_is_not_known_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere://path: ValueError: Protocol not known"):
        CheckpointStore(tmp_path, 2, Bucket("nowhere://path")).newest()
