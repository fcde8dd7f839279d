"""What Snakemake plans, for the default run and the paper's, on a machine without any of the hardware."""

from pathlib import Path

import pytest

from tests.workflow_project import copy_project, planned_rules, snakemake


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("dry"))


def test_the_default_run_has_every_stage_for_every_arm(project: Path) -> None:
    planned = planned_rules(snakemake(project, "-n", "all"))
    assert planned["train_tunix"] == planned["train_trl"] == 1
    assert planned["merge"] == planned["check_merge"] == 2
    assert planned["bench"] == planned["generate"] == planned["simulate"] == planned["score"] == 3
    assert {"base_model", "prepare_data", "cost", "tables", "figures", "summary", "archive"} <= planned.keys()


def test_a_seed_is_one_more_model_an_arm_and_no_more_benchmarks(project: Path) -> None:
    (project / "seeds.yaml").write_text("seeds: [0, 1, 2]\n")
    planned = planned_rules(snakemake(project, "-n", "all", "--configfile", "seeds.yaml"))
    assert planned["train_tunix"] == planned["train_trl"] == 3
    assert planned["merge"] == planned["check_merge"] == 3 + 3
    assert planned["generate"] == planned["score"] == 1 + 3 + 3
    assert planned["bench"] == 3
    assert planned["prepare_data"] == planned["tables"] == planned["summary"] == 1


def test_the_papers_run_can_be_planned_without_its_hardware(project: Path) -> None:
    dry_run = snakemake(project, "-n", "all", "--configfile", "configs/paper.yaml")
    planned = planned_rules(dry_run)
    assert planned["train_tunix"] == planned["train_trl"] == 1
    assert planned["bench"] == 2
    text = dry_run.stdout + dry_run.stderr
    assert "in15360_out512_rateinf" in text
    assert "results/paper/train/tpu/seed0/run.json" in text


def test_the_tuned_run_is_an_overlay_on_the_papers(project: Path) -> None:
    dry_run = snakemake(project, "-n", "all", "--configfile", "configs/paper.yaml", "configs/tuned.yaml")
    planned = planned_rules(dry_run)
    assert planned["prepare_data"] == planned["fetch_rows"] == planned["batching"] == planned["data_card"] == 1
    assert "results/tuned/train/tpu/seed0/run.json" in dry_run.stdout + dry_run.stderr


HARDWARE_OVERLAY = """
run: hw
arms:
  - name: base
    label: base
    train: null
    serve: {backend: docker, hardware: tpu-v6e-8, tensor_parallel_size: 8, image: "vllm/vllm-tpu:gemma4"}
  - name: tpu
    label: tpu
    train: {backend: tunix, hardware: tpu-v5p-8, mesh: {fsdp: 1, tp: 4}}
    serve: {backend: native, hardware: laptop, tensor_parallel_size: 1}
  - name: gpu
    label: gpu
    train: {backend: trl, hardware: gpu-2xh100, processes: 2, fsdp: true}
    serve: {backend: native, hardware: laptop, tensor_parallel_size: 1}
"""


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results/hw/train/tpu/seed0/run.json", "training the arm tpu needs tpu-v5p-8, and this machine has no TPU"),
        ("results/hw/bench/base.json", "docker"),
    ],
)
def test_a_stage_without_its_hardware_stops_and_says_so(project: Path, target: str, message: str) -> None:
    """The mini run with the paper's hardware: everything before the stage is real."""
    (project / "hw.yaml").write_text(HARDWARE_OVERLAY)
    result = snakemake(project, target, "--configfile", "hw.yaml")
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train={lora_rnk: 8}", "train.lora_rnk: unknown key; did you mean lora_rank?"),
        ("serve={startup_timeout_ms: 8}", "did you mean startup_timeout_sec?"),
        ("train={epochs: two}", "train.epochs"),
        ("train={batching: packed}", "train.batching"),
        ("data={filters: [too_long]}", "data.filters"),
        ("chat={template: paper, system_prompt: Hi}", "chat.system_prompt"),
        ("baseline_arm=tpv", "did you mean tpu?"),
    ],
)
def test_a_configuration_mistake_is_named_before_anything_runs(project: Path, override: str, message: str) -> None:
    result = snakemake(project, "-n", "all", "--config", override)
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_the_plan_compiles_twice_and_reports_once(project: Path) -> None:
    planned = planned_rules(snakemake(project, "-n", "plan", "--configfile", "configs/paper.yaml"))
    assert planned == {"plan": 1, "plan_compile": 2, "plan_report": 1}


def test_a_changed_price_compiles_nothing(project: Path) -> None:
    """What was compiled depends on settings of the step alone."""
    dry_run = snakemake(project, "-n", "plan", "--configfile", "configs/paper.yaml", "--printshellcmds")
    text = dry_run.stdout + dry_run.stderr
    compiling = [line for line in text.splitlines() if "compile_choices --settings" in line]
    assert len(compiling) == 2
    assert not any("usd_per_hour" in line for line in compiling)


def test_preflight_checks_again_every_time(project: Path) -> None:
    for _ in range(2):
        result = snakemake(project, "preflight")
        assert "ok     Python" in result.stdout + result.stderr


def test_preflight_names_what_this_machine_lacks(project: Path) -> None:
    result = snakemake(project, "preflight", "--configfile", "configs/paper.yaml")
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "FAILED devices: 0 TPU device(s) (needed: 4, as tpu-v5p-8 has)" in text
    assert "error: the arm tpu cannot be trained here yet: devices" in text
    assert "Traceback" not in text
