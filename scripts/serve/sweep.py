"""One server and the cells that are run against it, each kept as soon as it is done."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from scripts.common.errors import UserError
from scripts.common.files import read_json, write_json
from scripts.common.model_server import Server, last_words, model_server
from scripts.serve.cells import BenchSettings, Cell

WARM_UP_TIMEOUT_SEC = 600


def measure(todo: list[Cell], settings: BenchSettings, model: Path, state: Path, server_log: Path) -> None:
    """Runs the cells of `todo` against one server, and leaves a JSON for each, and server.json, in `state`."""
    # The client's import is as long as the server's start: side by side they take half the time.
    importing = threading.Thread(target=import_client, daemon=True)
    importing.start()
    with model_server(settings.server, model, server_log) as server:
        description = {"startup_sec": server.startup_sec, "command": server.command}
        write_json(state / "server.json", {**description, "vllm_version": server.vllm_version})
        importing.join()
        warm_up(server)
        for cell in tqdm(todo, desc=f"bench {settings.arm}", unit="cell"):
            run_cell(cell, server, model.parent, state, server_log)


def import_client() -> None:
    import scripts.serve.vllm_bench  # noqa: F401


def warm_up(server: Server) -> None:
    """One short request, so that no cell pays for what a server does once."""
    request = {"model": server.model_name, "prompt": "module top(", "max_tokens": 8, "temperature": 0}
    response = requests.post(f"{server.base_url}/completions", json=request, timeout=WARM_UP_TIMEOUT_SEC)
    if not response.ok:
        raise UserError(f"the server refused a first request (status {response.status_code}): {response.text[:300]}")


def run_cell(cell: Cell, server: Server, tokenizer: Path, state: Path, server_log: Path) -> None:
    """Runs one cell and keeps its JSON. Failed requests are part of the result; a cell of nothing else is an error."""
    from scripts.serve import vllm_bench

    partial = state / f".{cell.name}.partial"
    partial.unlink(missing_ok=True)
    vllm_bench.run_cell(cell, server, tokenizer, partial)
    raw: dict[str, Any] = read_json(partial)
    if raw["completed"] == 0:
        first = next(
            (line for error in raw.get("errors", []) for line in error.strip().splitlines()[-1:]), "no message"
        )
        raise UserError(
            f"bench cell {cell.name}: none of {cell.prompts} requests completed; the first failed with: {first}; "
            f"{last_words(server_log)}"
        )
    partial.rename(state / f"{cell.name}.json")
