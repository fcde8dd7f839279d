"""The adapters of a finished run's earlier checkpoints, published beside the last one for the merge to choose from."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.common.files import read_jsonl
from scripts.train.checkpoints import Checkpoint
from scripts.train.run_state import METRICS


def publish_earlier(
    adapter: Path, checkpoints: Sequence[Checkpoint], parts: Sequence[str], last: int
) -> dict[str, str]:
    """Copies `parts` (files or folders) of each of `checkpoints` to `adapter`/stepN, N being its optimizer step.

    Returns the manifest's `steps`: optimizer step -> folder, with the run's `last` step in `adapter` itself.
    """
    steps = {str(last): "."}
    for checkpoint in checkpoints:
        step = max(row["step"] for row in read_jsonl(checkpoint.folder / METRICS))
        # A sharded checkpoint of another layout (FSDP) has no such files, and is for resuming only.
        if step == last or not all((checkpoint.folder / part).exists() for part in parts):
            continue
        folder = adapter / f"step{step}"
        folder.mkdir()
        for part in parts:
            source = checkpoint.folder / part
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / part)
        steps[str(step)] = folder.name
    return steps
