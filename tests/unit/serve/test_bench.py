"""The benchmark goes on where it was killed, keeps vLLM's files as written, and never calls nothing a result."""

import contextlib
import importlib.metadata
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scripts.common.files import write_manifest
from scripts.common.model_server import Server
from scripts.serve import sweep
from scripts.serve.bench import main
from scripts.serve.cells import Cell
from tests.unit.serve.test_cells import RAW

ROOT = Path(__file__).resolve().parents[3]
SERVER = Server("http://127.0.0.1:1/v1", "tpu/seed0", 18.5, ("vllm", "serve", "m"), 1, "0.32.0")
SETTINGS = {
    "arm": "tpu",
    "hardware": "laptop",
    "server": {
        "backend": "native", "hardware_kind": "cpu", "tensor_parallel_size": 1, "max_model_len_tokens": 512,
        "dtype": "float32", "startup_timeout_sec": 300,
    },
    "contexts": [{"input_tokens": 64, "output_tokens": 32}],
    "request_rates_per_sec": [2, 8, "inf"],
    "prompts_per_cell": 12,
}  # fmt: skip


class Bench:
    """A run's folder, the entry script on it, and a client that notes which cells it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.starts = 0
        self.crash_at: str | None = None
        self.changes: dict[str, Any] = {}
        model = folder / "models"
        model.mkdir()
        (model / "config.json").write_text("{}")
        write_manifest(model)

    def run(self, **changes: Any) -> dict[str, Any]:
        arguments = {
            "settings": json.dumps({**SETTINGS, **changes}),
            "model": self.folder / "models/manifest.json",
            "output": self.folder / "bench/tpu.json",
            "raw": self.folder / "bench/tpu/raw",
            "state": self.folder / "state/bench",
            "server-log": self.folder / "logs/tpu.server.log",
        }
        main([text for key, value in arguments.items() for text in (f"--{key}", str(value))])
        result: dict[str, Any] = json.loads((self.folder / "bench/tpu.json").read_text())
        return result

    def run_cell(self, cell: Cell, server: Server, tokenizer: Path, result: Path) -> None:
        if cell.name == self.crash_at:
            result.write_text('{"half":')
            raise KeyboardInterrupt
        self.asked.append(cell.name)
        result.write_text(json.dumps({**RAW, "cell": cell.name, **self.changes}))

    @contextlib.contextmanager
    def model_server(self, *_: object) -> Iterator[Server]:
        self.starts += 1
        yield SERVER


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path)
    client = types.ModuleType("scripts.serve.vllm_bench")
    client.run_cell = bench.run_cell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scripts.serve.vllm_bench", client)
    monkeypatch.setattr(sys.modules["scripts.serve"], "vllm_bench", client, raising=False)
    monkeypatch.setattr(sweep, "model_server", bench.model_server)
    monkeypatch.setattr(sweep, "warm_up", lambda server: None)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.32.0")
    return bench


def test_an_arms_result_fits_its_schema(bench: Bench) -> None:
    result = bench.run()
    schema = json.loads((ROOT / "schemas/results/bench.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(result)
    assert [cell["request_rate_per_sec"] for cell in result["cells"]] == [2, 8, "inf"]
    assert result["server"] == {"startup_sec": 18.5, "command": ["vllm", "serve", "m"], "vllm_version": "0.32.0"}
    assert result["cells"][0]["prompts"] == 12
    assert result["cells"][0]["completed"] == 11
    del result["cells"][0]["completed"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(result)


def test_raw_files_are_where_the_result_says(bench: Bench) -> None:
    for cell in bench.run()["cells"]:
        assert cell["raw"] == f"bench/tpu/raw/in64_out32_rate{cell['request_rate_per_sec']}.json"
        assert json.loads((bench.folder / cell["raw"]).read_text())["cell"] == Path(cell["raw"]).stem


def test_a_killed_benchmark_goes_on_where_it_was(bench: Bench) -> None:
    bench.crash_at = "in64_out32_rateinf"
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert not (bench.folder / "bench").exists()
    bench.crash_at = None
    assert len(bench.run()["cells"]) == 3
    assert bench.asked == ["in64_out32_rate2", "in64_out32_rate8", "in64_out32_rateinf"]
    assert bench.starts == 2


def test_a_benchmark_killed_after_its_last_cell_needs_no_server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scripts.serve.bench.provenance", killed)
        with pytest.raises(KeyboardInterrupt):
            bench.run()
    assert len(bench.run()["cells"]) == 3
    assert bench.starts == 1


def test_a_finished_benchmark_that_is_asked_for_again_measures_again(bench: Bench) -> None:
    bench.run()
    bench.run()
    assert len(bench.asked) == 6
    assert [path.suffix for path in (bench.folder / "state/bench").iterdir()] == [".lock"]


@pytest.mark.parametrize("changed", ["prompts_per_cell", "server", "model"])
def test_cells_of_another_setting_or_model_are_not_reused(bench: Bench, changed: str) -> None:
    bench.crash_at = "in64_out32_rate8"
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    bench.crash_at = None
    changes: dict[str, Any] = {}
    if changed == "model":
        (bench.folder / "models/config.json").write_text('{"other": true}')
        write_manifest(bench.folder / "models")
    elif changed == "server":
        changes = {"server": {**SETTINGS["server"], "dtype": "bfloat16"}}  # type: ignore[dict-item]
    else:
        changes = {"prompts_per_cell": 13}
    bench.run(**changes)
    assert bench.asked.count("in64_out32_rate2") == 2


def test_another_rate_does_not_lose_the_cells_of_a_killed_benchmark(bench: Bench) -> None:
    bench.crash_at = "in64_out32_rate8"
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    bench.crash_at = None
    bench.run(request_rates_per_sec=[2, 4])
    assert bench.asked == ["in64_out32_rate2", "in64_out32_rate4"]


def test_a_cell_without_a_completed_request_is_an_error(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    log = bench.folder / "logs/tpu.server.log"
    log.parent.mkdir()
    log.write_text("ERROR 11-23 18:35:31 [core.py:842] RuntimeError: engine died\n")
    bench.changes = {"completed": 0, "errors": ["", "Traceback\nClientConnectorError: refused\n"]}
    with pytest.raises(SystemExit, match="2"):
        bench.run()
    error = capsys.readouterr().err.splitlines()[-1]
    assert "cell in64_out32_rate2: none of 12 requests completed" in error
    assert "ClientConnectorError: refused" in error
    assert "RuntimeError: engine died" in error
    assert not list((bench.folder / "state/bench").glob("*/in64*"))
