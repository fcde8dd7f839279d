"""LoRA fine-tuning of Gemma 4 with PyTorch, TRL and PEFT; leaves a PEFT adapter, metrics and run.json.

Run it under scripts.train.torchrun, one process a data shard: FSDP on GPUs, gradient averaging (DDP) on a CPU.
Checkpoints live in a state folder keyed by all that decides the result: the same command resumes at the newest one.
SIGTERM saves first.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.common.devices import require_devices
from scripts.common.errors import UserError, entry_point
from scripts.common.files import fingerprint, read_json, read_manifest, write_json, write_manifest
from scripts.common.processes import die_with_parent
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.train.earlier_adapters import publish_earlier
from scripts.train.mfu import model_flops_utilisation
from scripts.train.record import summarize
from scripts.train.run_state import RunState, open_run_state, run_key, state_folder
from scripts.train.settings import TrainSettings
from scripts.train.stopping import StopRequest

# Of the checkpoints that the Trainer writes, those that PEFT reads.
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
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


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    started = time.perf_counter()
    with StopRequest().listening() as stop:
        settings = parse_settings(TrlSettings, args.settings)
        train = settings.train
        require_devices(train.hardware_kind, train.hardware, f"training the arm {train.arm}")
        if int(os.environ.get("WORLD_SIZE", "1")) != settings.processes:
            raise UserError(f"run this step under scripts.train.torchrun --nproc-per-node {settings.processes}")
        if "RANK" in os.environ:
            die_with_parent()
        key = run_key("scripts.train.train_trl", args.settings, args.base_model, args.tokens, PACKAGES)
        # The others wait for the main process, and the lock, at their first collective.
        is_main = int(os.environ.get("RANK", "0")) == 0
        others = contextlib.nullcontext(RunState(state_folder(args.state_dir, key, train), None))
        with open_run_state(args.state_dir, key, train, "checkpoint-") if is_main else others as state:
            from scripts.train.trl_trainer import run_training

            folder = args.base_model.parent
            finished = run_training(train, settings.processes, settings.fsdp, folder, args.tokens, state, stop)
            if finished is None:  # not the main process
                return
            log, base = finished.log, read_manifest(args.base_model)
            args.output.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log.path, args.output / "metrics.jsonl")
            adapter = args.output / "adapter"
            shutil.rmtree(adapter, ignore_errors=True)
            shutil.copytree(finished.adapter, adapter)
            last = log.rows[-1]["step"]
            kept = state.store.kept() if state.store else []
            write_manifest(
                adapter,
                {
                    "format": "peft",
                    "lora": asdict(train.lora),
                    "base_source": base["source"],
                    "base_fingerprint": fingerprint(base["files"]),
                    "step": last,
                    "steps": publish_earlier(adapter, kept, ADAPTER_FILES, last),
                },
            )
    run = {
        "arm": train.arm,
        "seed": train.seed,
        "backend": "trl",
        "hardware": train.hardware,
        **(summary := summarize(log, train, time.perf_counter() - started)),
        "mfu": model_flops_utilisation(
            log, read_json(args.base_model.parent / "config.json"), train.hardware, summary["timed_sec"]
        ),
        "lora_parameters": finished.lora_parameters,
        "provenance": provenance("scripts.train.train_trl", asdict(settings), PACKAGES),
    }
    write_json(args.output / "run.json", run)


if __name__ == "__main__":
    main()
