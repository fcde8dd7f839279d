"""The default run from end to end with the real stack: killed at every stage, finished, read, and changed.

One run serves all these tests, in the order of the file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from tests.workflow_project import copy_project, planned_rules, snakemake

pytestmark = pytest.mark.e2e

# Entry script that is killed once while it works, a target that needs it, and the seconds that it is left to get going:
# serving is killed with its server up, training in its steps.
KILLED = [
    ("scripts.data.prepare", "data/report.json", 0),
    ("scripts.train.train_tunix", "train/tpu/seed0/run.json", 30),
    ("scripts.train.train_trl", "train/gpu/seed0/run.json", 20),
    ("scripts.merge.merge", "models/tpu/seed0/manifest.json", 0),
    ("scripts.merge.check_merge", "merge_checks/tpu/seed0.json", 1),
    ("scripts.serve.bench", "bench/base.json", 20),
    ("scripts.verilog.generate", "samples/base/seed0.jsonl", 15),
    ("scripts.verilog.simulate", "verdicts/base/seed0.jsonl", 1),
]
# Many times what a run takes on two busy cores: one that goes on for longer hangs.
HANGS_SEC = 7200


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = copy_project(tmp_path_factory.mktemp("mini"))
    yield folder
    for process in processes_in(folder):
        process.kill()


@pytest.fixture(scope="module")
def run_dir(project: Path) -> Path:
    return project / "results/mini"


def processes_in(project: Path) -> list[psutil.Process]:
    """Processes that work below `project`, such as jobs and the servers that they started."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(project) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "envs/launch.py", "driver", "snakemake", *arguments]
    log = open(project / "snakemake.log", "a")  # noqa: SIM115  the process writes to it
    return subprocess.Popen(
        command, cwd=project, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, text=True
    )


def find_step(project: Path, module: str) -> psutil.Process | None:
    """The entry script `module` at work; not its launchers, which may still be building its environment."""
    for process in processes_in(project):
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        is_script = "-m" in line and module in line and "python" in Path(line[0]).name
        if is_script and not any(launcher in " ".join(line) for launcher in ("envs/launch.py", "torchrun")):
            return process
    return None


def wait_for_step(project: Path, module: str, run: subprocess.Popen[str]) -> psutil.Process:
    """Waits as long as the run lasts: steps before this one may take their time on a busy machine."""
    while run.poll() is None:
        if process := find_step(project, module):
            return process
        time.sleep(0.2)
    raise AssertionError(f"{module} never ran: {(project / 'snakemake.log').read_text()[-3000:]}")


def assert_nothing_runs(project: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and processes_in(project):
        time.sleep(0.5)
    assert [process.cmdline() for process in processes_in(project)] == []


def kill_a_stage(project: Path, module: str, target: str, delay_sec: int) -> None:
    """Runs `target`, kills the entry script `module` on the way, and expects a run that failed and left nothing."""
    run = start(project, f"results/mini/{target}", "--nolock")
    step = wait_for_step(project, module, run)
    time.sleep(delay_sec)
    step.kill()
    assert run.wait(timeout=HANGS_SEC) != 0
    assert_nothing_runs(project)
    assert not (project / "results/mini" / target).exists()


@pytest.mark.parametrize(("module", "target", "delay_sec"), KILLED)
def test_a_stage_killed_while_it_works_ends_the_run_and_leaves_no_process(
    project: Path, module: str, target: str, delay_sec: int
) -> None:
    kill_a_stage(project, module, target, delay_sec)


def test_snakemake_itself_may_be_killed(project: Path) -> None:
    """Its job runs on and its lock stays; `make all` needs no such lock, and waits for the job's own."""
    run = start(project, "results/mini/samples/gpu/seed0.jsonl")
    wait_for_step(project, "scripts.verilog.generate", run)
    os.kill(run.pid, signal.SIGKILL)
    run.wait(timeout=30)


def test_a_report_killed_after_that_fails_like_any_other_stage(project: Path) -> None:
    kill_a_stage(project, "scripts.report.figures", "figures/loss.svg", 0)


def test_the_run_completes_after_all_that(project: Path, run_dir: Path) -> None:
    run = start(project, "all", "--nolock", "--report-after-run", "--report", "results/mini/report.html")
    assert run.wait(timeout=HANGS_SEC) == 0, (project / "snakemake.log").read_text()[-5000:]
    assert_nothing_runs(project)
    assert (run_dir / "report.html").stat().st_size > 100_000


def test_running_it_again_has_nothing_to_do(project: Path) -> None:
    assert planned_rules(snakemake(project, "-n", "all")) == {}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("pattern", "schema", "count"),
    [
        ("bench/*.json", "bench", 3),
        ("scores/*/*.json", "score", 3),
        ("samples/*/*.record.json", "generation", 3),
        ("comparisons.json", "comparisons", 1),
        ("published_evaluation.json", "published_evaluation", 1),
        ("costs.json", "costs", 1),
        ("train/*/*/run.json", "train_run", 2),
        ("merge_checks/*/seed0.json", "merge_check", 2),
        ("merge_checks/*/seed0.served.json", "served_check", 2),
        ("data/report.json", "data_report", 1),
        ("data/batching.json", "batching", 1),
    ],
)
def test_results_follow_their_schemas(project: Path, run_dir: Path, pattern: str, schema: str, count: int) -> None:
    files = sorted(run_dir.glob(pattern))
    assert len(files) == count
    rules = read(project / f"schemas/results/{schema}.schema.json")
    for file in files:
        jsonschema.validate(read(file), rules)


def metrics(run_dir: Path, arm: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / f"train/{arm}/seed0/metrics.jsonl").read_text().splitlines()]


def test_both_backends_start_from_the_same_loss_on_the_same_samples(run_dir: Path) -> None:
    """B is zero at first, so the first step's loss is the base model's: Tunix and TRL must agree on it."""
    tunix, trl = metrics(run_dir, "tpu"), metrics(run_dir, "gpu")
    assert tunix[0]["loss"] == pytest.approx(trl[0]["loss"], rel=1e-3)
    assert [row["real_tokens"] for row in tunix] == [row["real_tokens"] for row in trl]
    for first, second in zip(tunix, trl, strict=True):
        assert first["learning_rate"] == pytest.approx(second["learning_rate"], rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("arm", ["tpu", "gpu"])
def test_training_learns(run_dir: Path, arm: str) -> None:
    rows = metrics(run_dir, arm)
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert sum(row["loss"] for row in rows[-10:]) / 10 < 0.5 * rows[0]["loss"]


@pytest.mark.parametrize("arm", ["tpu", "gpu"])
def test_the_merged_model_is_the_trained_one_and_not_the_base(run_dir: Path, arm: str) -> None:
    check = read(run_dir / f"merge_checks/{arm}/seed0.json")
    found, limit = check["differences"]["float32"], check["tolerances"]["float32"]["max_abs"]
    for other in ("trained", "adapter"):
        assert found[f"merged_against_{other}"]["max_abs"] <= limit
        assert found[f"merged_against_{other}"]["top1_agreement"] == 1.0
    assert found["merged_against_base"]["max_abs"] > 100 * limit
    assert 0 < found["bfloat16_rounding_of_merge"]["max_abs"] < check["tolerances"]["bfloat16"]["max_abs"]


@pytest.mark.parametrize("arm", ["tpu", "gpu"])
def test_merged_weights_and_adapter_are_served_alike_and_not_as_the_base(run_dir: Path, arm: str) -> None:
    check = read(run_dir / f"merge_checks/{arm}/seed0.served.json")
    found, limit = check["differences"], check["tolerance"]["max_abs"]
    assert found["merged"]["max_abs"] <= limit
    assert found["adapter"]["max_abs"] <= limit
    assert found["adapter_from_base"]["max_abs"] > 100 * limit


@pytest.mark.parametrize("arm", ["tpu", "gpu"])
def test_tuned_arms_solve_clearly_more_than_the_base(run_dir: Path, arm: str) -> None:
    base, tuned = read(run_dir / "scores/base/seed0.json"), read(run_dir / f"scores/{arm}/seed0.json")
    assert tuned["problems"] == base["problems"] >= 30
    assert tuned["pass_at_k"]["1"] >= base["pass_at_k"]["1"] + 0.2
    assert tuned["problems_solved"] > base["problems_solved"]


@pytest.mark.parametrize("arm", ["base", "tpu", "gpu"])
def test_every_benchmark_request_completed(run_dir: Path, arm: str) -> None:
    cells = read(run_dir / f"bench/{arm}.json")["cells"]
    assert len(cells) == 6
    for cell in cells:
        assert cell["completed"] == cell["prompts"]
        assert cell["output_tokens_per_sec"] > 0
        assert (run_dir / cell["raw"]).is_file()


AFTER_SCORES = {"tables", "figures", "summary", "archive", "beside"}
AFTER_MODELS = AFTER_SCORES | {"generate", "simulate", "score", "bench", "cost"}


def edited(project: Path, file: str, old: str, new: str) -> dict[str, int]:
    """What a dry run plans after one edit, which is undone."""
    path = project / file
    before = path.read_text()
    stat = path.stat()
    assert old in before
    path.write_text(before.replace(old, new, 1))
    try:
        return planned_rules(snakemake(project, "-n", "all"))
    finally:
        path.write_text(before)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_comment_reruns_nothing(project: Path) -> None:
    planned = edited(project, "scripts/train/train_tunix.py", "PACKAGES =", "# What the numbers depend on.\nPACKAGES =")
    assert planned == {}


def test_a_price_reruns_tables_only(project: Path) -> None:
    planned = edited(
        project, "resources/hardware.yaml", "kind: on_demand, per_hour: 0.06701", "kind: on_demand, per_hour: 0.07601"
    )
    assert set(planned) == {"cost", "cost_figures", "tables", "summary", "archive", "beside"}


def test_the_number_of_samples_reruns_generation_onward(project: Path) -> None:
    planned = edited(project, "config.yaml", "samples_per_problem: 5", "samples_per_problem: 6")
    assert {"generate", "simulate", "score"} | AFTER_SCORES <= set(planned)
    assert not {"train_tunix", "train_trl", "merge", "bench", "prepare_data"} & set(planned)


def test_the_lora_rank_reruns_training_onward(project: Path) -> None:
    planned = edited(project, "config.yaml", "lora_rank: 16", "lora_rank: 8")
    assert {"train_tunix", "train_trl", "merge", "check_merge"} | AFTER_MODELS <= set(planned)
    assert not {"prepare_data", "base_model"} & set(planned)


def test_the_batching_reruns_training_onward_but_no_data(project: Path) -> None:
    planned = edited(project, "config.yaml", "batching: pack", "batching: bucket")
    assert {"batching", "data_card", "train_tunix", "train_trl"} | AFTER_MODELS <= set(planned)
    assert not {"prepare_data", "fetch_rows", "base_model"} & set(planned)


def test_the_threshold_of_a_filter_that_is_not_in_use_reruns_nothing_but_the_record(project: Path) -> None:
    planned = edited(project, "config.yaml", "near_duplicate_jaccard: 0.8", "near_duplicate_jaccard: 0.7")
    assert "prepare_data" not in planned


def test_a_system_prompt_reruns_data_and_every_answer(project: Path) -> None:
    planned = edited(project, "config.yaml", "system_prompt: null", "system_prompt: Write Verilog.")
    assert planned["generate"] == 3
    assert {"prepare_data", "train_tunix", "train_trl"} <= set(planned)
    assert "base_model" not in planned


def test_a_formula_deep_in_an_import_reruns_its_step_onward(project: Path) -> None:
    planned = edited(project, "scripts/merge/layout.py", "scale=alpha / rank", "scale=2 * alpha / rank")
    assert {"merge", "check_merge", "bench", "generate"} <= set(planned)
    assert not {"train_tunix", "train_trl"} & set(planned)


def test_a_changed_lock_reruns_the_steps_of_that_environment(project: Path) -> None:
    planned = edited(project, "envs/analysis.txt", "tabulate==", "# another build\ntabulate==")
    assert {"simulate", "score", "tables"} <= set(planned)
    assert not {"train_tunix", "generate", "bench"} & set(planned)


def test_one_target_is_rebuilt_alone(project: Path, run_dir: Path) -> None:
    target = run_dir / "tables/tco.md"
    before = (run_dir / "bench/tpu.json").stat().st_mtime_ns
    target.unlink()
    result = snakemake(project, "results/mini/tables/tco.md", "--nolock")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "USD" in target.read_text() or "$" in target.read_text()
    assert (run_dir / "bench/tpu.json").stat().st_mtime_ns == before
