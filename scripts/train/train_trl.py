"""LoRA fine-tuning of Gemma 4 with PyTorch, TRL and PEFT; leaves a PEFT adapter, metrics and run.json.

Run it under torchrun, one process a data shard: FSDP on GPUs, gradient averaging (DDP) on a CPU. Checkpoints live in a
state folder keyed by all that decides the result: the same command resumes at the newest one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.common.devices import require_devices
from scripts.common.errors import UserError, entry_point
from scripts.common.files import file_lock, fingerprint, read_manifest, sha256_file, write_json, write_manifest
from scripts.common.processes import die_with_parent
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.train.record import summarize
from scripts.train.settings import TrainSettings

PACKAGES = ("torch", "trl", "peft", "transformers", "accelerate")


@dataclass(frozen=True)
class TrlSettings:
    """Settings of a TRL run."""

    train: TrainSettings
    processes: int
    fsdp: bool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of TrlSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for checkpoints, kept between tries")
    parser.add_argument("--output", type=Path, required=True, help="folder for adapter/, metrics.jsonl and run.json")
    return parser.parse_args(argv)


@contextlib.contextmanager
def main_process_lock(path: Path, rank: int) -> Iterator[None]:
    """The state folder's lock, held by the main process alone: the others wait for it at their first collective."""
    if rank == 0:
        with file_lock(path):
            yield
    else:
        yield


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    started = time.perf_counter()
    settings = parse_settings(TrlSettings, args.settings)
    train = settings.train
    require_devices(train.hardware_kind, train.hardware, f"training the arm {train.arm}")
    if int(os.environ.get("WORLD_SIZE", "1")) != settings.processes:
        raise UserError(f"run this step under torchrun --nproc-per-node {settings.processes}")
    rank = int(os.environ.get("RANK", "0"))
    if "RANK" in os.environ:
        die_with_parent()
    base = read_manifest(args.base_model)
    identity = {
        "settings": json.loads(args.settings),
        "base": base["files"],
        "tokens": sha256_file(args.tokens),
        "code": provenance("scripts.train.train_trl", {})["code_sha256"],
    }
    state = (args.state_dir / fingerprint(identity)).resolve()
    with main_process_lock(state / "lock", rank):
        from scripts.train.trl_trainer import run_training

        finished = run_training(train, settings.processes, settings.fsdp, args.base_model.parent, args.tokens, state)
        if finished is None:  # not the main process
            return
        log = finished.log
        args.output.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log.path, args.output / "metrics.jsonl")
        adapter = args.output / "adapter"
        shutil.rmtree(adapter, ignore_errors=True)
        shutil.copytree(finished.adapter, adapter)
        write_manifest(
            adapter,
            {
                "format": "peft",
                "lora": asdict(train.lora),
                "base_source": base["source"],
                "base_fingerprint": fingerprint(base["files"]),
                "step": log.rows[-1]["step"],
            },
        )
    run = {
        "arm": train.arm,
        "seed": train.seed,
        "backend": "trl",
        "hardware": train.hardware,
        **summarize(log, train, time.perf_counter() - started),
        "lora_parameters": finished.lora_parameters,
        "provenance": provenance("scripts.train.train_trl", asdict(settings), PACKAGES),
    }
    write_json(args.output / "run.json", run)


if __name__ == "__main__":
    main()
