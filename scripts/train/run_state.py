"""The folder of a run's state: found again by all that decides its result, used by one process at a time."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.common.files import disk_errors_in_one_line, file_lock, fingerprint, read_manifest, sha256_file
from scripts.common.provenance import provenance
from scripts.train.bucket import Bucket, is_bucket_url
from scripts.train.checkpoints import Checkpoint, CheckpointStore
from scripts.train.settings import CHECKPOINT_SETTINGS, TrainSettings

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class RunState:
    """`folder` is where a process keeps what it needs to go on; `store` is None where another process writes."""

    folder: Path
    store: CheckpointStore | None


def run_key(module: str, settings: str, base_model: Path, tokens: Path, packages: tuple[str, ...]) -> str:
    """The name of a run's state: a fingerprint of its settings (JSON), base model, data, code and packages.

    Where and how often checkpoints are written decides nothing of the result and is left out.
    """
    decisive = json.loads(settings)
    decisive["train"] = {key: value for key, value in decisive["train"].items() if key not in CHECKPOINT_SETTINGS}
    origin = provenance(module, {}, packages)
    return fingerprint(
        {
            "settings": decisive,
            "base": read_manifest(base_model)["files"],
            "tokens": sha256_file(tokens),
            "code": origin["code_sha256"],
            "versions": origin["versions"],
        }
    )


def state_folder(state_dir: Path, key: str, train: TrainSettings) -> Path:
    """Below `state_dir`, or below train.checkpoint_root where that is a folder."""
    root = train.checkpoint_root
    return (state_dir if root is None or is_bucket_url(root) else Path(root)).resolve() / key


@contextlib.contextmanager
def open_run_state(state_dir: Path, key: str, train: TrainSettings, prefix: str = "") -> Iterator[RunState]:
    """The state of the run `key` for the process that writes it, under a lock; waits for whoever holds it.

    `prefix` is what the backend puts before the number of a checkpoint. Leaving waits for the bucket.
    """
    folder = state_folder(state_dir, key, train)
    root = train.checkpoint_root
    bucket = Bucket(f"{root}/{key}") if root is not None and is_bucket_url(root) else None
    with disk_errors_in_one_line(folder), file_lock(folder / "lock"):
        store = CheckpointStore(folder / "checkpoints", train.checkpoints_kept, bucket, prefix)
        try:
            yield RunState(folder, store)
        finally:
            store.close()


@contextlib.contextmanager
def scratch_state() -> Iterator[RunState]:
    """The state of a process that writes nothing: a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        yield RunState(Path(scratch), None)


def restore_metrics(state: RunState, checkpoint: Checkpoint | None) -> None:
    """Sets metrics.jsonl back to the checkpoint's: what a killed process wrote after it, whole or not, is gone."""
    if checkpoint is None:
        (state.folder / METRICS).unlink(missing_ok=True)
    else:
        shutil.copyfile(checkpoint.folder / METRICS, state.folder / METRICS)
