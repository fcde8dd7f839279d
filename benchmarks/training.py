"""The miniature trained with each batching mode on the paper's distribution of lengths: the loss of every step, and
real tokens a second, in one run. The same command, rows and steps; only `train.batching` differs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lengths import paper_lengths
from scripts.common.batching import MODES
from scripts.common.errors import entry_point
from scripts.common.files import link_or_copy, read_json, read_jsonl, write_json, write_manifest
from scripts.common.token_rows import TokenRows
from scripts.data.token_file import write_tokens

MINI = Path("resources/mini/model")
SAMPLES_PER_STEP = 8
# The paper's rows are at most 3,072 tokens; all lengths are divided by this, for a CPU.
SHRINK = 8
MAX_SEQ_LEN = 3072 // SHRINK
ROW_LENGTHS = [MAX_SEQ_LEN * quarter // 4 for quarter in (1, 2, 3, 4)]
SETTINGS: dict[str, Any] = {
    "arm": "bench", "seed": 0, "hardware": "laptop", "hardware_kind": "cpu", "epochs": 1,
    "samples_per_step": SAMPLES_PER_STEP, "micro_batch_size": 1,
    "lora": {"rank": 16, "alpha": 16.0, "dropout": 0.0, "targets": "all"}, "peak_learning_rate": 0.002,
    "warmup_steps": 5, "weight_decay": 0.001, "dtype": "float32", "remat": "none", "checkpoint_interval_steps": 1000,
    "checkpoints_kept": 1,
}  # fmt: skip


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=24, help="optimizer steps of each mode (default 24)")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/training.json"))
    return parser.parse_args(argv)


def make_world(folder: Path, steps: int) -> None:
    """The base model with its manifest, and rows of the paper's lengths: tokens by Zipf's law, half of them answer."""
    for file in MINI.iterdir():
        (folder / "base").mkdir(exist_ok=True)
        link_or_copy(file.resolve(), folder / "base" / file.name)
    write_manifest(folder / "base", {"source": str(MINI)})
    wanted = steps * SAMPLES_PER_STEP
    lengths = np.maximum(paper_lengths(2 * wanted) // SHRINK, 8)
    lengths = lengths[lengths <= MAX_SEQ_LEN][:wanted].tolist()
    vocabulary = 1000
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, vocabulary - 10)
    rows = [(10 + random.choice(len(weights), length, p=weights / weights.sum())).tolist() for length in lengths]
    tokens = TokenRows.from_lists(rows, [length // 2 for length in lengths])
    write_tokens(folder / "train.parquet", [f"row{number}" for number in range(wanted)], tokens)


def train(folder: Path, mode: str) -> dict[str, Any]:
    """One training run, as the workflow starts it; its throughput is that of the steps that compile nothing."""
    batching = {"mode": mode, "row_lengths_tokens": ROW_LENGTHS, "max_seq_len_tokens": MAX_SEQ_LEN}
    settings = {"train": {**SETTINGS, "batching": batching}, "mesh": {"fsdp": 1, "tp": 1}}
    command = [
        sys.executable, "-m", "scripts.train.train_tunix", "--settings", json.dumps(settings),
        "--base-model", str(folder / "base/manifest.json"), "--tokens", str(folder / "train.parquet"),
        "--state-dir", str(folder / "state"), "--output", str(folder / mode),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    run = read_json(folder / mode / "run.json")
    return {
        "losses": [row["loss"] for row in read_jsonl(folder / mode / "metrics.jsonl")],
        "real_tokens_per_sec": run["timed_real_tokens"] / run["timed_sec"],
        "padded_tokens_per_sec": run["timed_padded_tokens"] / run["timed_sec"],
        "real_token_share": run["real_tokens"] / run["padded_tokens"],
        "timed_steps": run["timed_samples"] // SAMPLES_PER_STEP,
        "steps": run["optimizer_steps"],
    }


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-training-") as name:
        folder = Path(name)
        make_world(folder, args.steps)
        modes = {mode: train(folder, mode) for mode in MODES}
    pad = modes["pad"]
    result = {
        "modes": modes,
        "speedup_over_pad": {
            mode: found["real_tokens_per_sec"] / pad["real_tokens_per_sec"] for mode, found in modes.items()
        },
        "max_abs_loss_difference_from_pad": {
            mode: float(np.abs(np.subtract(found["losses"], pad["losses"])).max()) for mode, found in modes.items()
        },
    }
    write_json(args.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
