"""LoRA fine-tuning of Gemma 4 with JAX, Tunix and Qwix on a device mesh; leaves an Orbax adapter, metrics and run.json.

Checkpoints live in a state folder keyed by all that decides the result: the same command resumes at the newest one.
SIGTERM saves first. On a slice of several hosts the same command runs on each; one process writes (docs/hosts.md).
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common.errors import entry_point
from scripts.common.files import fingerprint, read_json, read_manifest, write_json, write_manifest
from scripts.common.jax_platform import MeshShape, choose_platform, use_compile_cache, use_xla_flags
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.train.checkpoints import Checkpoint
from scripts.train.earlier_adapters import publish_earlier
from scripts.train.hosts import is_writer, join_hosts, processes_from_environment, require_same
from scripts.train.mfu import model_flops_utilisation
from scripts.train.record import summarize
from scripts.train.run_state import open_run_state, run_key, scratch_state
from scripts.train.settings import TrainSettings
from scripts.train.stopping import StopRequest

PACKAGES = ("jax", "google-tunix", "qwix", "flax", "optax", "orbax-checkpoint")


@dataclass(frozen=True)
class TunixSettings:
    """Settings of a Tunix run."""

    train: TrainSettings
    mesh: MeshShape


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of TunixSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for checkpoints, kept between tries")
    parser.add_argument("--output", type=Path, required=True, help="folder for adapter/, metrics.jsonl and run.json")
    parser.add_argument("--compile-cache-dir", type=Path, help="folder of JAX's persistent compile cache")
    return parser.parse_args(argv)


def publish(run: Path, tensors: Path, earlier: Sequence[Checkpoint], adapter_info: dict[str, Any]) -> None:
    """Copies the LoRA tensors of the last checkpoint, and of the earlier ones, to `run`/adapter; its manifest is
    written last."""
    adapter = run / "adapter"
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.copytree(tensors, adapter / tensors.name)
    steps = publish_earlier(adapter, earlier, [tensors.name], adapter_info["step"])
    write_manifest(adapter, {**adapter_info, "steps": steps})


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    started = time.perf_counter()
    with StopRequest().listening() as stop:
        settings = parse_settings(TunixSettings, args.settings)
        train, mesh = settings.train, settings.mesh
        purpose = f"training the arm {train.arm}"
        use_xla_flags(train.xla_flags)
        use_compile_cache(args.compile_cache_dir)
        choose_platform(train.hardware_kind, train.hardware, mesh, purpose, processes_from_environment())
        join_hosts(train.hardware_kind, mesh)
        key = run_key("scripts.train.train_tunix", args.settings, args.base_model, args.tokens, PACKAGES)
        require_same(key)
        with open_run_state(args.state_dir, key, train) if is_writer() else scratch_state() as state:
            from scripts.train.tunix_trainer import run_training

            finished = run_training(train, mesh.fsdp, mesh.tp, args.base_model.parent, args.tokens, state, stop)
            if finished is None:  # another process writes
                return
            log, base = finished.log, read_manifest(args.base_model)
            adapter_info = {
                "format": "orbax",
                "lora": asdict(train.lora),
                "base_source": base["source"],
                "base_fingerprint": fingerprint(base["files"]),
                "step": log.rows[-1]["step"],
            }
            args.output.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log.path, args.output / "metrics.jsonl")
            publish(args.output, finished.adapter, state.store.kept() if state.store else [], adapter_info)
    run = {
        "arm": train.arm,
        "seed": train.seed,
        "backend": "tunix",
        "hardware": train.hardware,
        **(summary := summarize(log, train, time.perf_counter() - started)),
        "mfu": model_flops_utilisation(
            log, read_json(args.base_model.parent / "config.json"), train.hardware, summary["timed_sec"]
        ),
        "lora_parameters": finished.lora_parameters,
        "provenance": provenance("scripts.train.train_tunix", asdict(settings), PACKAGES),
    }
    write_json(args.output / "run.json", run)


if __name__ == "__main__":
    main()
