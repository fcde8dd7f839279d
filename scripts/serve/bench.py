"""Measures how fast an arm's model is served: `vllm bench serve` over contexts and request rates on one server.

Writes one JSON for the arm and, as vLLM wrote it, one for each cell. A cell that is done is kept in a side folder under
a fingerprint of all that determines it, so that a killed benchmark goes on where it was; at the end the folder goes.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.common.code_hash import code_hash
from scripts.common.errors import entry_point
from scripts.common.files import file_lock, fingerprint, read_json, sha256_file, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.serve.cells import BenchSettings, cell_result, cells_of
from scripts.serve.sweep import measure

MODULE = "scripts.serve.bench"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of BenchSettings")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model's folder")
    parser.add_argument("--output", type=Path, required=True, help="results of the arm (JSON)")
    parser.add_argument("--raw", type=Path, required=True, help="folder for vLLM's JSON of each cell")
    parser.add_argument("--state", type=Path, required=True, help="folder for the cells of unfinished benchmarks")
    parser.add_argument("--server-log", type=Path, required=True, help="what the server says")
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(BenchSettings, args.settings)
    cells = list(cells_of(settings))
    state = args.state / state_key(settings, args.model)
    with file_lock(args.state / f"{state.name}.lock"):
        state.mkdir(parents=True, exist_ok=True)
        todo = [cell for cell in cells if not (state / f"{cell.name}.json").is_file()]
        if todo or not (state / "server.json").is_file():
            measure(todo, settings, args.model, state, args.server_log)
        results = []
        for cell in cells:
            target = args.raw / f"{cell.name}.json"
            copy_whole(state / target.name, target)
            results.append(cell_result(cell, read_json(target), os.path.relpath(target, args.output.parents[1])))
        payload = {
            "arm": settings.arm,
            "hardware": settings.hardware,
            "backend": settings.server.backend,
            "tensor_parallel_size": settings.server.tensor_parallel_size,
            "server": read_json(state / "server.json"),
            "cells": results,
            "provenance": provenance(MODULE, json.loads(args.settings), ("vllm",)),
        }
        write_json(args.output, payload)
        shutil.rmtree(state)


def state_key(settings: BenchSettings, model: Path) -> str:
    """Fingerprint of what determines a cell's numbers besides its context and rate."""
    server = {key: value for key, value in dataclasses.asdict(settings.server).items() if key != "startup_timeout_sec"}
    return fingerprint(
        {
            "server": server,
            "prompts_per_cell": settings.prompts_per_cell,
            "model_sha256": sha256_file(model),
            "code_sha256": code_hash(MODULE),
            "client_version": importlib.metadata.version("vllm"),
        }
    )


def copy_whole(source: Path, target: Path) -> None:
    """`target` with the bytes of `source`, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


if __name__ == "__main__":
    main()
