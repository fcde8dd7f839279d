"""summary.md: everything in it is read from the run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.common.settings import parse_settings
from scripts.cost import cost
from scripts.report import summary
from scripts.report.arm_table import Settings
from scripts.report.comparability import caveats
from scripts.report.results import Results
from tests.unit import synthetic_run

CONFIG = {
    "run": "pretend",
    "seeds": [0, 1],
    "model": {"source": "some/model", "revision": "abc123"},
    "data": {"source": "corpus.jsonl", "revision": None},
    "verilog": {"problems": "problems", "prompt": "problem", "prompt_examples": 0},
}
SETTINGS = parse_settings(Settings, json.dumps(synthetic_run.table_settings()))


def write_summary(folder: Path) -> str:
    costs = folder / "costs.json"
    flags = synthetic_run.result_flags(folder, samples=True)
    cost.main(["--settings", json.dumps(synthetic_run.cost_settings()), *flags, "--output", str(costs)])
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "table.md").write_text("### A table\n\n| a |\n|---|\n| 1 |\n")
    (folder / "loss.svg").write_text("<svg/>")
    argv = ["--settings", json.dumps(synthetic_run.table_settings()), *synthetic_run.result_flags(folder)]
    argv += ["--costs", str(costs), "--config", str(folder / "config.json"), "--tables", str(folder / "table.md")]
    summary.main([*argv, "--figures", str(folder / "loss.svg"), "--output", str(folder / "summary.md")])
    return (folder / "summary.md").read_text()


def results() -> Results:
    """Two trained arms and an untuned one whose results differ in nothing."""
    return Results(
        {"base": [], "tpu": [synthetic_run.run_json("tpu", 0)], "gpu": [synthetic_run.run_json("gpu", 0)]},
        {name: synthetic_run.bench_json(name) for name in ("base", "tpu", "gpu")},
        {name: [synthetic_run.score_json(name, 0)] for name in ("base", "tpu", "gpu")},
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_summary(synthetic_run.write_run(tmp_path_factory.mktemp("run")))


def test_it_says_what_ran(text: str) -> None:
    assert text.startswith("# pretend: base (untuned), Tunix (JAX), TRL (PyTorch) compared\n")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    assert ["Base model", "some/model at abc123"] in lines
    assert ["Machine", "host: Imaginary CPU, 2 CPUs"] in lines
    assert any(line[0] == "Commit" and "0123456789abcdef" in line[1] for line in lines)
    assert ["base", "base (untuned)", "none", "vLLM (native) on CPU, 2 cores, tensor parallelism 1"] in lines


def test_each_arm_has_a_sentence_of_its_own_numbers(text: str) -> None:
    score = synthetic_run.score_json("base", 0, skill=0.1)
    sentence = next(line for line in text.splitlines() if line.startswith("- **base (untuned)**"))
    assert f"solves {score['problems_solved']} of 32 problems with any of 5 samples" in sentence
    assert "trained" not in sentence
    assert "trained in" in next(line for line in text.splitlines() if line.startswith("- **Tunix (JAX)**"))


def test_it_holds_the_tables_and_shows_the_figures(text: str) -> None:
    assert "### A table\n\n| a |" in text
    assert "![Training loss](loss.svg)" in text


def test_every_result_file_is_listed_with_code_and_commit(text: str) -> None:
    for path in ("train/tpu/seed1/run.json", "bench/base.json", "scores/gpu/seed0.json", "costs.json"):
        assert any(line.startswith(f"| {path} ") for line in text.splitlines()), path
    assert "c0dec0dec0dec0de" in text
    assert "snakemake all --configfile results/pretend/config.json" in text


def test_a_result_without_provenance_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synthetic_run.write_run(tmp_path)
    path = folder / "scores/gpu/seed0.json"
    score = json.loads(path.read_text())
    del score["provenance"]
    path.write_text(json.dumps(score))
    with pytest.raises(SystemExit):
        write_summary(folder)
    assert "scores/gpu/seed0.json: no provenance block" in capsys.readouterr().err


def test_arms_on_one_machine_are_not_a_comparison_of_accelerators() -> None:
    found = caveats(results(), SETTINGS.arms, SETTINGS.hardware)
    assert (
        "tpu, gpu were all trained on CPU, 2 cores (kind cpu): their differences are of software and chance, not of "
        "accelerators." in found
    )


@pytest.mark.parametrize(
    ("where", "change", "sentence"),
    [
        ("runs", {"optimizer_steps": 1250}, "Optimizer steps: tpu 300; gpu 1,250."),
        ("runs", {"real_tokens": 1}, "Real training tokens: tpu 240,000; gpu 1."),
        ("scores", {"icarus_version": "11.0"}, "Icarus Verilog version: base 12.0; tpu 12.0; gpu 11.0."),
        (
            "benches",
            {"server": {"vllm_version": "0.20.2"}},
            "VLLM version: base 0.32.0; tpu 0.32.0; gpu 0.20.2.",
        ),
    ],
)
def test_what_differs_between_arms_is_said(where: str, change: dict[str, Any], sentence: str) -> None:
    changed = results()
    assert sentence not in caveats(changed, SETTINGS.arms, SETTINGS.hardware)
    entry = getattr(changed, where)["gpu"]
    (entry if where == "benches" else entry[0]).update(change)
    assert sentence in caveats(changed, SETTINGS.arms, SETTINGS.hardware)


def test_results_of_several_commits_and_machines_are_said() -> None:
    changed = results()
    block = {
        **synthetic_run.provenance("m"),
        "commit": "fedcba9876543210",
        "host": {"processor": "Other", "cpu_count": 8},
    }
    changed.scores["gpu"][0]["provenance"] = block
    found = caveats(changed, SETTINGS.arms, SETTINGS.hardware)
    assert any(line.startswith("Commit of the scores results:") and "gpu fedcba987654" in line for line in found)
    assert any(
        line.startswith("Machine of the scores results:") and "gpu host: Other, 8 CPUs" in line for line in found
    )


def test_one_seed_is_said_to_be_one() -> None:
    one = "One training seed only: tpu, gpu. Run-to-run variation is unknown."
    assert one in caveats(results(), SETTINGS.arms, SETTINGS.hardware)
    several = dataclasses.replace(
        results(), runs={**results().runs, "gpu": [synthetic_run.run_json("gpu", s) for s in (0, 1)]}
    )
    assert "One training seed only: tpu. Run-to-run variation is unknown." in caveats(
        several, SETTINGS.arms, SETTINGS.hardware
    )
