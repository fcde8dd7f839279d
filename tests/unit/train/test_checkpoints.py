"""A checkpoint is there whole or not at all; a damaged one costs a warning and the steps since the one before."""

import resource
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.common.errors import UserError
from scripts.common.files import MANIFEST_NAME
from scripts.train.checkpoints import SPARE_BYTES, CheckpointStore

SIZE_BYTES = 4000


def filled_with(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "arrays").mkdir()
        (folder / "arrays/data").write_text(text * SIZE_BYTES)
        (folder / "metrics.jsonl").write_text(f'{{"step": "{text}"}}\n')

    return fill


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """Three checkpoints, the newest two of which are kept."""
    store = CheckpointStore(tmp_path / "checkpoints", kept=2)
    for position, text in ((3, "a"), (6, "b"), (10, "c")):
        store.write(position, filled_with(text), SIZE_BYTES)
    return store


def names(store: CheckpointStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def newest_position(store: CheckpointStore) -> int | None:
    newest = store.newest()
    return newest.position if newest else None


def test_the_newest_are_kept_and_found(store: CheckpointStore) -> None:
    assert names(store) == ["10", "6"]
    newest = store.newest()
    assert newest is not None
    assert newest.position == 10
    assert (newest.folder / "arrays/data").read_text() == "c" * SIZE_BYTES


def test_an_empty_store_has_none(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "new", kept=1).newest() is None


def truncate(folder: Path) -> None:
    with open(folder / "arrays/data", "r+b") as handle:
        handle.truncate(SIZE_BYTES // 2)


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "arrays/data").read_bytes())
    content[SIZE_BYTES // 3] ^= 1
    (folder / "arrays/data").write_bytes(content)


def lose_a_file(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink()


def lose_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def truncate_the_manifest(folder: Path) -> None:
    text = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(text[: len(text) // 2])


def misspell_a_hash(folder: Path) -> None:
    text = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(text.replace("sha256", "sha257", 1))


@pytest.mark.parametrize(
    "harm", [truncate, flip_a_bit, lose_a_file, lose_the_manifest, truncate_the_manifest, misspell_a_hash]
)
def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(
    store: CheckpointStore, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    harm(store.folder / "10")
    assert newest_position(store) == 6
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: checkpoint {store.folder / '10'}: ")
    assert "set aside as 10.damaged" in warning
    assert names(store) == ["10.damaged", "6"]
    store.write(10, filled_with("d"), SIZE_BYTES)
    assert newest_position(store) == 10


def test_with_every_checkpoint_damaged_the_run_starts_again_and_says_so(
    store: CheckpointStore, capsys: pytest.CaptureFixture[str]
) -> None:
    for position in (6, 10):
        truncate(store.folder / str(position))
    assert newest_position(store) is None
    assert "no checkpoint can be used, training starts at its first step" in capsys.readouterr().err


def test_a_killed_write_or_removal_leaves_no_checkpoint(store: CheckpointStore) -> None:
    (store.folder / ".12.partial").mkdir()
    (store.folder / ".6.removed").mkdir()
    assert newest_position(CheckpointStore(store.folder, kept=2)) == 10
    assert names(store) == ["10", "6"]


def test_a_checkpoint_beyond_a_quota_is_one_line_and_the_older_stay(store: CheckpointStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE_BYTES // 2, hard))
    try:
        with pytest.raises(UserError, match=r"checkpoint 12 could not be written .*File too large.* goes on at the"):
            store.write(12, filled_with("d"), SIZE_BYTES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(store) == ["10", "6"]


@pytest.fixture
def disk_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    """Makes the disk look as large as a number of bytes beside the spare ones."""

    def limit(size_bytes: int) -> None:
        def disk_usage(_: Path) -> SimpleNamespace:
            used = sum(path.stat().st_size for path in tmp_path.rglob("data"))
            return SimpleNamespace(free=size_bytes + SPARE_BYTES - used)

        monkeypatch.setattr("scripts.train.checkpoints.shutil.disk_usage", disk_usage)

    return limit


def test_on_a_full_disk_the_oldest_makes_room(store: CheckpointStore, disk_of: Callable[[int], None]) -> None:
    disk_of(2 * SIZE_BYTES)
    store.write(12, filled_with("d"), SIZE_BYTES)
    assert names(store) == ["10", "12"]


def test_the_newest_never_makes_room(store: CheckpointStore, disk_of: Callable[[int], None]) -> None:
    disk_of(SIZE_BYTES)
    with pytest.raises(UserError, match=r"a checkpoint needs 0\.02 GB, .* are free: free some space"):
        store.write(12, filled_with("d"), SIZE_BYTES)
    assert newest_position(store) == 10


def test_a_checkpoint_that_the_backend_wrote_counts_once_it_is_adopted(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, kept=1, prefix="checkpoint-")
    for step in (5, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        filled_with("a")(folder)
        if step == 5:
            store.adopt(step)
    assert newest_position(store) == 5  # 10 was being written when its process was killed
    assert names(store) == ["checkpoint-10.damaged", "checkpoint-5"]
