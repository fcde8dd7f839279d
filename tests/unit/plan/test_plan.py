"""The plan from compiled points to tables, on points whose costs are known."""

import json
import re
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import gemma4_shapes
from scripts.common.prices import priced
from scripts.common.settings import parse_settings
from scripts.plan import compile_choices, plan, predictions
from scripts.plan.check import main as check_main
from scripts.plan.choices import PlanSettings, check_points, points_of_plan, points_of_scale_out
from scripts.plan.points import CompilePoint

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "resources/models/gemma-4-31B-it.config.json"
SHAPES = gemma4_shapes(json.loads(MODEL.read_text()))
HARDWARE = yaml.safe_load((ROOT / "resources/hardware.yaml").read_text())
COST = {"price": "on_demand", "regions": {}}
NOT_SETTINGS = ("model_config", "slice", "preflight_arm", "model_download_gb")


@pytest.fixture
def settings() -> PlanSettings:
    """config.yaml's plan of the paper's run, on the paper's mesh alone."""
    section = yaml.safe_load((ROOT / "config.yaml").read_text())["plan"]
    section["alternatives"]["meshes"] = [section["reference"]["mesh"]]
    own = {key: value for key, value in section.items() if key not in NOT_SETTINGS}
    train = {"slice_name": section["slice"], "epochs": 1, "samples_per_step": 8, "lora_rank": 64, "lora_alpha": 64.0,
             "dtype": "bfloat16", "max_seq_len_tokens": 3072}  # fmt: skip
    return parse_settings(PlanSettings, json.dumps({**own, **train}))


def record(point: CompilePoint) -> dict[str, Any]:
    """A compiled point of 10 GiB and what grows with layers, rows and their squares; remat does 1.5 times the FLOPs.
    With 16 data shards XLA's default was not counted."""
    work = point.layers * point.row_len * (1 + point.row_len / 100_000)
    remat = point.choice.remat == "decoder"
    gib = 2**30
    compiled = {
        "arguments_bytes": 10 * gib + point.layers * gib // 8,
        "arguments_bytes_by_part": {"accumulated_gradients": gib},
        "temporaries_bytes": point.layers * gib // (40 if remat else 2),
        "outputs_bytes": gib, "aliased_bytes": gib, "code_bytes": 0,
        "flops": (1.5 if remat else 1.0) * 6e8 * work,
        "memory_traffic_bytes": 1e6 * work,
        "collectives": [{"kind": "all-reduce", "group_size": 4, "count": 1, "tensor_bytes": 1.0,
                         "wire_bytes": 1e4 * work * point.choice.mesh.fsdp}],
        "loops": 0, "loops_of_unknown_length": 0,
        "windowed_einsum": point.choice.mesh.fsdp < 16, "compile_sec": 1.0, "host_memory_bytes": gib,
    }  # fmt: skip
    return {"point": asdict(point), "refused": None, "compiled": compiled, "versions": {}}


def written(folder: Path, name: str, points: list[CompilePoint]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"points": [record(point) for point in points]}))
    return path


def planned(folder: Path, settings: PlanSettings, *extra: str) -> dict[str, Any]:
    """plan.json of the entry script."""
    tpus = {name: priced(entry, COST, name) for name, entry in HARDWARE.items() if entry["kind"] == "tpu"}
    inputs = {"plan": asdict(settings), "hardware": tpus}
    plan.main(
        [
            "--settings", json.dumps(inputs), "--model-config", str(MODEL),
            "--compiled", str(written(folder, "compiled", points_of_plan(settings, SHAPES))),
            "--scale-out", str(written(folder, "scale_out", points_of_scale_out(settings))),
            "--output-dir", str(folder), *extra,
        ]
    )  # fmt: skip
    result: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return result


def test_the_plan_follows_its_schema_and_recommends_the_fastest_that_fits(
    tmp_path: Path, settings: PlanSettings
) -> None:
    found = planned(tmp_path, settings)
    schema = json.loads((ROOT / "schemas/results/plan.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(found)
    best = found["recommended"]
    assert (best["remat"], best["batching"]) == ("none", "pack")
    assert best["predicted_speedup"] == max(run["predicted_speedup"] for run in found["runs"])
    factors = [row["predicted_factor"] for row in found["contributions"]]
    product = 1.0
    for factor in factors:
        product *= factor
    assert product == pytest.approx(best["predicted_speedup"])
    assert factors[0] == 1.0
    assert factors[1] == pytest.approx(1.5)


def test_without_a_list_every_valid_mesh_is_compared(tmp_path: Path, settings: PlanSettings) -> None:
    found = planned(tmp_path, replace(settings, alternatives=replace(settings.alternatives, meshes=None)))
    meshes = [(row["mesh"]["fsdp"], row["mesh"]["tp"]) for row in found["choices"]]
    assert meshes == [(4, 1), (2, 2), (1, 4)]
    assert found["recommended"]["mesh"] == {"fsdp": 4, "tp": 1}
    # The reference's own rematerialisation on another mesh was not compiled: both changes are one.
    assert [row["change"] for row in found["contributions"]][:2] == ["reference", "mesh: (4, 1), remat: none"]
    # A chip's FLOPs are the same on every mesh here, and shared by tp chips: FLOPs a row are in proportion to tp.
    text = (tmp_path / "plan.md").read_text()
    assert re.findall(r"the reference does (\S+) times its FLOPs a row", text) == ["6.00", "3.00", "1.50"]


def test_the_published_time_calibrates_the_reference_itself(tmp_path: Path, settings: PlanSettings) -> None:
    reference = planned(tmp_path, settings)["reference"]
    assert reference["predicted"]["calibrated_hours"] == pytest.approx(1.21 * 1244 * 8 / 3600)


def test_what_does_not_fit_is_listed_and_not_recommended(tmp_path: Path, settings: PlanSettings) -> None:
    both = replace(settings.alternatives, remat=("decoder", "none"))
    small = replace(settings, slice_name="v6e-4", alternatives=both)
    found = planned(tmp_path, small)
    assert {row["remat"]: row["fits"] for row in found["choices"]} == {"none": False, "decoder": True}
    assert {run["remat"] for run in found["runs"]} == {"decoder"}
    assert "does not fit" in (tmp_path / "plan.md").read_text()


def test_measured_row_lengths_take_the_place_of_assumed_ones(tmp_path: Path, settings: PlanSettings) -> None:
    shapes = [{"rows": 1, "row_len": 3072, "micro_batches": 5}]
    plans = [{"mode": mode, "rows_per_micro_batch": 1, "shapes": shapes} for mode in ("pad", "bucket", "pack")]
    (tmp_path / "batching.json").write_text(json.dumps({"plans": plans}))
    found = planned(tmp_path, settings, "--batching", str(tmp_path / "batching.json"))
    assert all(run["row_lengths_measured"] and run["predicted"]["micro_batches"] == 5 for run in found["runs"])
    assert "not measured" not in (tmp_path / "plan.md").read_text()


def test_what_was_compiled_with_all_layers_is_not_extrapolated(tmp_path: Path, settings: PlanSettings) -> None:
    whole = [record(point) for point in check_points(settings, SHAPES)]
    for entry in whole:
        entry["compiled"]["temporaries_bytes"] = 7 * 2**30
    (tmp_path / "whole.json").write_text(json.dumps({"points": whole}))
    for row in planned(tmp_path, settings, "--whole", str(tmp_path / "whole.json"))["choices"]:
        assert row["compiled_with_all_layers"]
        assert row["compiled"]["temporaries_gib"] == 7
    assert not any(row["compiled_with_all_layers"] for row in planned(tmp_path, settings)["choices"])


def test_modules_with_loops_of_unknown_length_have_no_times(tmp_path: Path, settings: PlanSettings) -> None:
    """XLA counts such a loop's body once: its FLOPs would be too few, and the step too fast."""
    planned(tmp_path, settings)
    payload = json.loads((tmp_path / "compiled.json").read_text())
    for entry in payload["points"]:
        entry["compiled"]["loops_of_unknown_length"] = 3
    (choice,) = {point.choice for point in predictions.read_records(payload) if point.choice.remat == "none"}
    cost = predictions.choice_cost(predictions.read_records(payload), choice, 60)
    assert not cost.by_length
    assert cost.refused == "not counted: up to 3 loops of unknown length in one module"


def test_sizes_compiled_in_two_ways_are_not_extrapolated(tmp_path: Path, settings: PlanSettings) -> None:
    planned(tmp_path, settings)
    payload = json.loads((tmp_path / "compiled.json").read_text())
    for entry in payload["points"]:
        entry["compiled"]["windowed_einsum"] = entry["point"]["layers"] == settings.layers_compiled["none"][0]
    records = predictions.read_records(payload)
    (choice,) = {point.choice for point in records if point.choice.remat == "none"}
    cost = predictions.choice_cost(records, choice, 60)
    assert not cost.by_length
    assert cost.refused == "not counted: some sizes with windowed einsum, some without"


def test_slices_counted_without_windowed_einsum_are_marked(tmp_path: Path, settings: PlanSettings) -> None:
    found = planned(tmp_path, settings)
    marked = {row["slice"] for row in found["scale_out"] if not row["windowed_einsum"]}
    assert marked == {"v5p-128", "v6e-64"}
    text = (tmp_path / "plan.md").read_text()
    assert re.findall(r"^\| (\S+)†", text, re.MULTILINE) == ["v5p-128", "v6e-64"]
    assert text.count("without windowed einsum") == 1


def test_everything_of_time_is_marked_predicted(tmp_path: Path, settings: PlanSettings) -> None:
    planned(tmp_path, settings)
    headers = [line for line in (tmp_path / "plan.md").read_text().splitlines() if line.startswith("|")]
    for line in headers:
        if "[ms]" in line or "limit [" in line:
            assert "predicted" in line


def check(folder: Path, settings: PlanSettings, factor: float) -> None:
    """Runs the check on whole-model points whose temporaries are `factor` times the extrapolated ones."""
    few = written(folder, "few", points_of_plan(settings, SHAPES))
    whole = [record(point) for point in check_points(settings, SHAPES)]
    for entry in whole:
        entry["compiled"]["temporaries_bytes"] *= factor
    (folder / "whole.json").write_text(json.dumps({"points": whole}))
    check_main(
        ["--settings", json.dumps({"required": ["flops", "temporaries_gib"]}), "--compiled", str(few),
         "--whole", str(folder / "whole.json"), "--output", str(folder / "check.json")]
    )  # fmt: skip


def test_an_extrapolation_within_2_percent_passes(tmp_path: Path, settings: PlanSettings) -> None:
    check(tmp_path, settings, 1.015)
    assert len(json.loads((tmp_path / "check.json").read_text())["rows"]) == 12


def test_an_extrapolation_off_by_more_stops(
    tmp_path: Path, settings: PlanSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        check(tmp_path, settings, 1.03)
    assert stopped.value.code == 2
    assert "error: the extrapolation is more than 2% off: temporaries_gib" in capsys.readouterr().err


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> list[CompilePoint]:
    """Stands in for the process that compiles a point; the list says which points it was asked for."""
    asked: list[CompilePoint] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        point = parse_settings(CompilePoint, command[command.index("--settings") + 1])
        asked.append(point)
        Path(command[command.index("--output") + 1]).write_text(json.dumps(record(point)))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(compile_choices.importlib.metadata, "version", lambda name: "1.0")
    return asked


def test_a_compiled_point_is_not_compiled_again(
    tmp_path: Path, settings: PlanSettings, compiler: list[CompilePoint]
) -> None:
    points = points_of_plan(settings, SHAPES)
    for point in [points[0], points[1], points[0]]:
        compile_choices.compiled_record(point, MODEL, tmp_path)
    assert compiler == points[:2]


@pytest.mark.parametrize(
    ("stderr", "code", "message"),
    [
        ("noise\nerror: libtpu is not installed here\n", 2, "^libtpu is not installed here"),
        ("noise\nthe compiler's last words\n", -11, "ended by signal 11: the compiler's last words"),
    ],
)
def test_a_failed_compile_is_one_line(
    tmp_path: Path, settings: PlanSettings, monkeypatch: pytest.MonkeyPatch, stderr: str, code: int, message: str
) -> None:
    monkeypatch.setattr(compile_choices.importlib.metadata, "version", lambda name: "1.0")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, code, "", stderr))
    with pytest.raises(UserError, match=message):
        compile_choices.compiled_record(points_of_plan(settings, SHAPES)[0], MODEL, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"model_type": "gemma3_text"}, "model_type 'gemma3_text' is not Gemma 4"),
        ({"model_type": "gemma4_text", "layer_types": ["full_attention"], "global_head_dim": 8,
          "num_key_value_heads": 1}, "hidden_size is missing"),
    ],
)  # fmt: skip
def test_a_model_that_tunix_lacks_is_one_line(
    tmp_path: Path, settings: PlanSettings, capsys: pytest.CaptureFixture[str], text: dict[str, Any], message: str
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"text_config": text}))
    with pytest.raises(SystemExit) as stopped:
        compile_choices.main(
            ["--settings", json.dumps({"part": "plan", "plan": asdict(settings)}), "--model-config", str(config),
             "--state-dir", str(tmp_path / "state"), "--output", str(tmp_path / "compiled.json")]
        )  # fmt: skip
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "compiled.json").exists()


def test_shorter_rows_are_compiled_only_where_they_are_asked_for(settings: PlanSettings) -> None:
    padded = replace(settings, alternatives=replace(settings.alternatives, batching=("pad",)))
    assert {point.row_len for point in points_of_plan(padded, SHAPES)} == {3072}
    by_remat = {
        remat: {point.row_len for point in points_of_plan(settings, SHAPES) if point.choice.remat == remat}
        for remat in ("none", "decoder")
    }
    assert by_remat == {"none": {1024, 2048, 3072}, "decoder": {3072}}


def test_settings_that_do_not_fit_together_are_named(settings: PlanSettings) -> None:
    with pytest.raises(ValueError, match=r"max_seq_len_tokens = 192"):
        replace(settings, max_seq_len_tokens=192)
    with pytest.raises(ValueError, match=r"layers_compiled\.decoder"):
        replace(settings, layers_compiled={"none": (6, 12), "decoder": (12, 6)})
