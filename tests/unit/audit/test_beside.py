"""Our run's numbers beside the published: right values and units, a ratio only where the scale allows one."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scripts.audit.beside import main
from scripts.cost.cost import main as cost_main
from tests.unit import synthetic_run
from tests.unit.audit.audited import ROOT, published
from tests.unit.synthetic_run import bench_json, run_json, score_json

PUBLISHED = str(ROOT / "resources/paper/published.yaml")
CONFIG = {
    "train": {
        "samples_per_step": 8,
        "lora_rank": 16,
        "lora_alpha": 16.0,
        "peak_learning_rate": 0.002,
        "warmup_steps": 20,
    },
    "data": {"max_seq_len_tokens": 192},
    "serve": {"max_model_len_tokens": 512},
    "bench": {"prompts_per_cell": 12},
    "verilog": {"samples_per_problem": 5, "temperature": 0.8},
}
SPREAD = {"mean": 0.5, "sd": None, "n": 1}
COSTS = {"training": {"cost_usd": SPREAD, "usd_per_million_real_tokens": SPREAD}, "serving": {"usd_per_hour": 2.0}}


def beside_of(folder: Path, model: str = "resources/mini/model", kind: str = "cpu", **bench: Any) -> dict[str, Any]:
    """beside.json of a made-up run of two arms: by (claim, arm)."""
    arms = {"mine": "tunix", "other": "trl"}
    flags = []
    for flag, make in (("--runs", run_json), ("--benches", bench_json), ("--scores", score_json)):
        flags.append(flag)
        for arm in arms:
            seeds = [0] if make is bench_json else [0, 2]
            for seed in seeds:
                path = folder / f"{flag}-{arm}-{seed}.json"
                path.write_text(json.dumps(bench_json(arm, **bench) if make is bench_json else make(arm, seed)))
                flags.append(str(path))
    (folder / "costs.json").write_text(json.dumps({"arms": dict.fromkeys(arms, COSTS)}))
    settings = {
        "model_source": model,
        "arms": [{"name": name, "train_backend": how, "hardware_kinds": [kind, kind]} for name, how in arms.items()],
        "config": CONFIG,
    }
    main(
        [
            *("--settings", json.dumps(settings), "--published", PUBLISHED, *flags),
            *("--costs", str(folder / "costs.json"), "--output", str(folder / "beside.json")),
        ]
    )
    record = json.loads((folder / "beside.json").read_text())
    jsonschema.validate(record, json.loads((ROOT / "schemas/results/beside.schema.json").read_text()))
    return {(entry["claim_id"], entry["arm"]): entry for entry in record["lines"]}


def test_a_miniature_has_ratios_of_settings_and_none_of_results(tmp_path: Path) -> None:
    lines = beside_of(tmp_path)
    assert lines["lora_rank", "tpu"]["ratio"] == 16 / 64
    assert lines["tpu_optimizer_steps", "tpu"]["ratio"] == pytest.approx(300 / 1244)
    assert {entry["mark"] for entry in lines.values()} == {"mini"}
    hours = lines["tpu_training_hours", "tpu"]
    assert (hours["ours"], hours["ratio"]) == (pytest.approx(121 / 3600), None)  # mean of 120 s and 122 s, in hours


def test_a_miniature_s_contexts_stand_beside_the_paper_s_by_their_order(tmp_path: Path) -> None:
    lines = beside_of(tmp_path)
    assert lines["tpu_throughput_in512", "tpu"]["note"] == "64 in / 32 out"
    assert lines["tpu_throughput_in1024", "tpu"]["note"] == "256 in / 32 out"
    assert lines["tpu_throughput_in4096", "tpu"]["ours"] is None
    assert lines["tpu_ttft_in512", "tpu"]["ours"] is not None  # all at once, in both
    assert lines["tpu_ttft_in1024", "tpu"]["ours"] is None  # no rate of 4 requests a second


def test_it_reads_what_the_stages_before_it_write(tmp_path: Path) -> None:
    """A made-up run of three arms, priced by the cost stage itself."""
    folder = synthetic_run.write_run(tmp_path)
    results = synthetic_run.result_flags(folder)
    settings = json.dumps(synthetic_run.cost_settings())
    samples = synthetic_run.result_flags(folder, samples=True)
    cost_main(["--settings", settings, *samples, "--output", str(folder / "costs.json")])
    arms = [
        {"name": arm["name"], "train_backend": arm["train"], "hardware_kinds": ["cpu", "cpu"]}
        for arm in synthetic_run.ARMS
        if arm["train"]
    ]
    run = json.dumps({"model_source": "resources/mini/model", "arms": arms, "config": CONFIG})
    flags = ["--settings", run, "--published", PUBLISHED, *results, "--costs", str(folder / "costs.json")]
    main([*flags, "--output", str(folder / "audit/beside.json")])
    lines = {entry["claim_id"]: entry for entry in json.loads((folder / "audit/beside.json").read_text())["lines"]}
    price, hours = synthetic_run.HARDWARE["laptop"]["price"]["usd_per_hour"], 120.5 / 3600
    assert lines["gpu_training_cost"]["ours"] == pytest.approx(price * hours)
    assert lines["tco_gpu_8h"]["ours"] == pytest.approx(price * (hours + 8))
    text = (folder / "audit/beside.md").read_text()
    assert all(entry["label"] in text for entry in lines.values())


def test_at_the_paper_s_scale_everything_that_was_measured_has_a_ratio(tmp_path: Path) -> None:
    lines = beside_of(tmp_path, "google/gemma-4-31B-it", "tpu", contexts=((4096, 512),), rates=(4, "inf"))
    assert {entry["mark"] for entry in lines.values()} == {"measured"}
    for entry in lines.values():
        assert (entry["ratio"] is None) == (entry["ours"] is None)
    time = lines["gpu_ttft_in4096", "gpu"]
    assert time["ratio"] == pytest.approx(time["ours"] / 1443)
    assert lines["tpu_throughput_in512", "tpu"]["ours"] is None
    assert lines["tco_tpu_24h", "tpu"]["ours"] == 0.5 + 24 * 2.0


def test_every_published_value_is_the_transcription_s(tmp_path: Path) -> None:
    for (claim_id, _), entry in beside_of(tmp_path).items():
        claim = published().claims[claim_id]
        assert (entry["published"], entry["unit"]) == (claim.number.value, claim.unit)


def test_a_plan_stands_alone_and_is_marked(tmp_path: Path) -> None:
    run = {"predicted": {"limit_hours": 1.67, "limit_usd": None, "calibrated_hours": 0.668, "calibrated_usd": 11.222}}
    (tmp_path / "plan.json").write_text(json.dumps({"reference": run, "recommended": run}))
    settings = json.dumps({"model_source": "x", "arms": [], "config": {}})
    main(
        [
            *("--settings", settings, "--published", PUBLISHED, "--plan", str(tmp_path / "plan.json")),
            *("--output", str(tmp_path / "beside.json")),
        ]
    )
    lines = json.loads((tmp_path / "beside.json").read_text())["lines"]
    assert {entry["mark"] for entry in lines} == {"planned"}
    assert [entry["ratio"] for entry in lines] == [0.5, None, pytest.approx(0.2), pytest.approx(0.2)]
    assert "recommended choices" in (tmp_path / "beside.md").read_text()


def test_an_arm_without_results_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside_of(tmp_path)
    arms = [{"name": "third", "train_backend": "trl", "hardware_kinds": ["cpu"]}]
    settings = json.dumps({"model_source": "x", "arms": arms, "config": CONFIG})
    flags = ["--published", PUBLISHED, "--costs", str(tmp_path / "costs.json")]
    with pytest.raises(SystemExit, match="2"):
        main(["--settings", settings, *flags, "--output", str(tmp_path / "out.json")])
    assert "arm third" in capsys.readouterr().err
