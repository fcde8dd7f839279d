"""Training runs of seconds: the last layer of the mini model, rows of random tokens, the entry script as a process.

The processes are forked from one that has imported JAX and Tunix but not used them: an import takes longer than a run.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import resource
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from scripts.common.files import read_jsonl, write_json, write_manifest
from scripts.common.token_rows import TokenRows, read_token_rows
from scripts.data.token_file import write_tokens

MINI = Path("resources/mini/model")
# The number of each layer that is kept, and its number in the cut model.
LAYERS_KEPT = {5: 0}
# Settings of 12 optimizer steps of four samples, in one packed row or two: a checkpoint every third step.
TRAIN: dict[str, Any] = {
    "arm": "tpu", "seed": 0, "hardware": "laptop", "hardware_kind": "cpu", "epochs": 3, "samples_per_step": 4,
    "micro_batch_size": 1, "lora": {"rank": 4, "alpha": 8.0, "dropout": 0.3, "targets": "all"},
    "peak_learning_rate": 0.01, "warmup_steps": 2, "weight_decay": 0.001, "dtype": "float32", "remat": "none",
    "checkpoint_interval_steps": 3, "checkpoints_kept": 2,
    "batching": {"mode": "pack", "row_lengths_tokens": [64], "max_seq_len_tokens": 48},
}  # fmt: skip
STEPS = 12


def make_model(folder: Path) -> Path:
    """The cut model as a folder with its manifest, whose path is returned."""
    config = json.loads((MINI / "config.json").read_text())
    text = config["text_config"]
    text["layer_types"] = [text["layer_types"][layer] for layer in LAYERS_KEPT]
    text["num_hidden_layers"] = len(LAYERS_KEPT)
    tensors = {}
    for name, tensor in safetensors.numpy.load_file(MINI / "model.safetensors").items():
        before, layers, rest = name.partition(".layers.")
        number, _, rest = rest.partition(".")
        if not layers:
            tensors[name] = tensor
        elif int(number) in LAYERS_KEPT:
            tensors[f"{before}.layers.{LAYERS_KEPT[int(number)]}.{rest}"] = tensor
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((MINI / name).read_bytes())
    return write_manifest(folder, {"source": "tests"})


def make_tokens(path: Path) -> Path:
    """Sixteen rows of unequal lengths."""
    generator = np.random.default_rng(0)
    rows = [generator.integers(20, 900, length).tolist() for length in generator.integers(12, 40, 16)]
    write_tokens(path, [f"row{i}" for i in range(16)], TokenRows.from_lists(rows, [4] * 16))
    return path


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["scripts.train.tunix_trainer", "scripts.train.train_tunix"])


def run_entry(arguments: list[str], log: Path, cache: Path, environment: dict[str, str]) -> None:
    """What a process of TinyRun does."""
    import jax

    with open(log, "a" if environment.get("JAX_PROCESS_ID", "0") != "0" else "w") as handle:
        os.dup2(handle.fileno(), 1)
        os.dup2(handle.fileno(), 2)
    os.environ.update(environment)
    if limit := environment.get("TINY_RUN_FILE_LIMIT_BYTES"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    importlib.import_module("scripts.train.train_tunix").main(arguments)


@dataclass
class TinyRun:
    """One run's inputs, state and output below `folder`; the compile cache is shared by the runs of a test module."""

    folder: Path
    inputs: Path
    train: dict[str, Any] = field(default_factory=dict)
    arm: dict[str, Any] = field(default_factory=lambda: {"mesh": {"fsdp": 1, "tp": 1}})

    @property
    def settings(self) -> dict[str, Any]:
        return {"train": {**TRAIN, **self.train}, **self.arm}

    def arguments(self) -> list[str]:
        return [
            "--settings", json.dumps(self.settings), "--base-model", str(self.inputs / "model/manifest.json"),
            "--tokens", str(self.inputs / "train.parquet"), "--state-dir", str(self.folder / "state"),
            "--output", str(self.folder / "out"),
        ]  # fmt: skip

    def start(self, **environment: str) -> Any:
        """The entry script in a process of its own; what it prints goes to `log`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = (self.arguments(), self.log, self.inputs / "cache", environment)
        process = _PROCESSES.Process(target=run_entry, args=arguments)
        process.start()
        return process

    def finish(self, **environment: str) -> str:
        """Runs it to its end and returns what it printed; it must succeed."""
        return self._end(self.start(**environment), 0)

    def fail(self, status: int, **environment: str) -> str:
        """Runs it to its end and returns the last line, which says why it ended with `status`.

        No traceback comes from the project's own code. When an array cannot be written, tensorstore prints notes of its
        own about the others that it was writing, from threads that cannot be silenced.
        """
        output = self._end(self.start(**environment), status)
        assert "/scripts/train/" not in "".join(
            line for line in output.splitlines() if line.lstrip().startswith("File ")
        )
        last = output.splitlines()[-1]
        assert last.startswith(("error:", "stopped:")), output
        return last

    def _end(self, process: Any, status: int) -> str:
        process.join(1200)
        output = self.log.read_text()
        assert process.exitcode == status, output
        return output

    @property
    def log(self) -> Path:
        """What the last process printed; those of a run on several hosts share it."""
        return self.folder / "log"

    @property
    def state(self) -> Path:
        """The only state folder."""
        (state,) = (self.folder / "state").iterdir()
        return state

    def checkpoints(self) -> list[int]:
        """Numbers of the checkpoints on disk, ascending."""
        return sorted(int(path.name) for path in (self.state / "checkpoints").iterdir() if path.name.isdecimal())

    def metrics_so_far(self) -> int:
        """Steps that a run at work has logged."""
        logs = list((self.folder / "state").glob("*/metrics.jsonl"))
        return logs[0].read_text().count("\n") if logs else 0

    def losses(self) -> list[float]:
        rows = list(read_jsonl(self.folder / "out/metrics.jsonl"))
        assert [row["step"] for row in rows] == list(range(1, len(rows) + 1)), "a step missing or twice"
        return [row["loss"] for row in rows]

    def held_out_losses(self) -> dict[int, float]:
        """By the step after which each was measured."""
        rows = read_jsonl(self.folder / "out/metrics.jsonl")
        return {row["step"]: row["held_out_loss"] for row in rows if row["held_out_loss"] is not None}

    def adapter(self) -> dict[str, np.ndarray]:
        """Both factors of every module of the published adapter."""
        from scripts.merge.orbax_adapter import read_orbax

        factors = read_orbax(self.folder / "out/adapter/model_params")
        return {f"{name}.{side}": getattr(pair, side) for name, pair in factors.items() for side in "ab"}


def make_inputs_without(folder: Path, inputs: Path, held_out: int) -> Path:
    """`inputs` without the rows that a run over them holds out."""
    shutil.copytree(inputs / "model", folder / "model")
    rows, _ = read_token_rows(inputs / "train.parquet").hold_out(held_out)
    write_tokens(folder / "train.parquet", [f"row{i}" for i in range(len(rows))], rows)
    return folder


def make_inputs(folder: Path) -> Path:
    """Model and tokens for TinyRun's `inputs`."""
    make_model(folder / "model")
    make_tokens(folder / "train.parquet")
    return folder
