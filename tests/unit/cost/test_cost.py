"""costs.json: the prices given in the settings times what was measured, arm by arm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scripts.cost import cost
from tests.unit import synthetic_run

PRICE = synthetic_run.HARDWARE["laptop"]["price"]
SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/results/costs.schema.json").read_text())


def run_cost(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    flags = synthetic_run.result_flags(folder, samples=True)
    cost.main(["--settings", json.dumps(settings), *flags, "--output", str(folder / "costs.json")])
    costs: dict[str, Any] = json.loads((folder / "costs.json").read_text())
    return costs


def test_the_file_fits_its_schema(tmp_path: Path) -> None:
    jsonschema.validate(run_cost(synthetic_run.write_run(tmp_path), synthetic_run.cost_settings()), SCHEMA)


def test_training_is_priced_by_wall_clock_and_averaged_over_seeds(tmp_path: Path) -> None:
    costs = run_cost(synthetic_run.write_run(tmp_path, seeds=(0, 2)), synthetic_run.cost_settings())
    training = costs["arms"]["gpu"]["training"]
    assert training["seeds"] == [0, 2]
    # Runs of 120 s and 122 s at 0.067 USD/h.
    assert training["cost_usd"]["mean"] == pytest.approx(121 / 3600 * 0.067)
    assert training["cost_usd"]["sd"] == pytest.approx(2**0.5 / 3600 * 0.067)
    assert training["cost_usd"]["n"] == 2
    assert training["usd_per_million_real_tokens"]["mean"] == pytest.approx(121 / 3600 * 0.067 / 0.24)
    assert training["usd_per_million_padded_tokens"]["mean"] == pytest.approx(121 / 3600 * 0.067 / 0.4608)


def test_an_untuned_arm_pays_for_serving_only(tmp_path: Path) -> None:
    base = run_cost(synthetic_run.write_run(tmp_path), synthetic_run.cost_settings())["arms"]["base"]
    assert base["training"] is None
    assert [(entry["serving_hours"], entry["usd"]["mean"]) for entry in base["tco"]["by_hours"]] == [
        (1, pytest.approx(0.067)),
        (8, pytest.approx(0.536)),
        (24, pytest.approx(1.608)),
    ]


def test_output_tokens_are_priced_at_every_rate_and_at_the_peak(tmp_path: Path) -> None:
    costs = run_cost(synthetic_run.write_run(tmp_path), synthetic_run.cost_settings())
    context = costs["arms"]["gpu"]["serving"]["contexts"][0]
    assert [cell["request_rate_per_sec"] for cell in context["by_rate"]] == [2, 8, "inf"]
    for cell in context["by_rate"]:
        expected = 0.067 / (cell["output_tokens_per_sec"] * 3600 / 1e6)
        assert cell["usd_per_million_output_tokens"] == pytest.approx(expected)
    assert context["peak"] == min(context["by_rate"], key=lambda cell: cell["usd_per_million_output_tokens"])


def changed_costs(folder: Path, change: Callable[[dict[str, Any]], None], **settings: Any) -> dict[str, Any]:
    """costs.json after `change` to every cell of every benchmark, with other settings."""
    synthetic_run.write_run(folder)
    for path in folder.glob("bench/*.json"):
        bench = json.loads(path.read_text())
        for cell in bench["cells"]:
            change(cell)
        path.write_text(json.dumps(bench))
    costs = run_cost(folder, {**synthetic_run.cost_settings(), **settings})
    jsonschema.validate(costs, SCHEMA)
    return costs


@pytest.mark.parametrize("throughput", [0.0, None])
def test_what_depends_on_tokens_never_written_is_unknown(tmp_path: Path, throughput: float | None) -> None:
    costs = changed_costs(tmp_path, lambda cell: cell.update(output_tokens_per_sec=throughput))
    gpu = costs["arms"]["gpu"]
    context = gpu["serving"]["contexts"][0]
    assert context["peak"]["usd_per_million_output_tokens"] is None
    assert context["usd_per_solved_problem"] == {"peak": None, "sustained": None}
    assert {entry["usd"] for entry in gpu["tco"]["by_tokens"]} == {None}
    assert None not in [entry["usd"] for entry in gpu["tco"]["by_hours"]]
    assert {entry["input_tokens"] for entry in costs["break_even"]} == {None}
    assert costs["sensitivity"]["arms"]["gpu"] is None


def test_a_server_that_only_had_bursts_sustains_nothing(tmp_path: Path) -> None:
    costs = changed_costs(tmp_path, lambda cell: cell.update(request_rate_per_sec="inf"))
    context = costs["arms"]["gpu"]["serving"]["contexts"][0]
    assert context["sustained"] is None
    assert context["peak"]["usd_per_million_output_tokens"] > 0


def test_a_solved_problem_costs_the_tokens_of_all_answers(tmp_path: Path) -> None:
    costs = run_cost(synthetic_run.write_run(tmp_path, seeds=(0,)), synthetic_run.cost_settings())
    gpu = costs["arms"]["gpu"]
    assert gpu["evaluation"]["output_tokens"]["mean"] == 5 * 32 * 100
    solved = gpu["evaluation"]["problems_solved"]["mean"]
    for name in ("peak", "sustained"):
        context = gpu["serving"]["contexts"][0]
        per_million = context[name]["usd_per_million_output_tokens"]
        found = context["usd_per_solved_problem"][name]["mean"]
        assert found == pytest.approx(0.016 * per_million / solved)


def test_a_model_that_solves_nothing_has_no_price_of_a_problem(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path)
    path = folder / "scores/base/seed0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "problems_solved": 0}))
    costs = run_cost(folder, synthetic_run.cost_settings())
    context = costs["arms"]["base"]["serving"]["contexts"][0]
    assert context["usd_per_solved_problem"] == {"peak": None, "sustained": None}


def test_a_volume_of_tokens_takes_longer_where_the_server_idles(tmp_path: Path) -> None:
    def hours(folder: Path, utilisation: float) -> list[float]:
        costs = changed_costs(folder, lambda cell: None, utilisation=utilisation)
        return [entry["serving_hours"] for entry in costs["arms"]["gpu"]["tco"]["by_tokens"]]

    busy, idle = hours(tmp_path / "busy", 1.0), hours(tmp_path / "idle", 0.25)
    assert idle == pytest.approx([4 * value for value in busy])
    costs = json.loads((tmp_path / "busy/costs.json").read_text())["arms"]["gpu"]
    sustained = costs["serving"]["contexts"][0]["sustained"]["output_tokens_per_sec"]
    assert busy[0] == pytest.approx(1e6 / sustained / 3600)


def test_at_the_break_even_the_totals_are_equal(tmp_path: Path) -> None:
    """Between the untuned base, which starts for nothing, and a tuned arm whose tokens are cheaper."""
    costs = run_cost(synthetic_run.write_run(tmp_path), synthetic_run.cost_settings())
    point = next(e for e in costs["break_even"] if e["arms"] == ["base", "tpu"] and e["input_tokens"] == 64)
    assert (point["cheaper_before"], point["cheaper_after"]) == ("base", "tpu")

    def total(arm: str) -> float:
        entry = costs["arms"][arm]
        fixed = entry["training"]["cost_usd"]["mean"] if entry["training"] else 0.0
        per_million = entry["serving"]["contexts"][0]["sustained"]["usd_per_million_output_tokens"]
        return float(fixed + point["output_tokens_millions"] * per_million)

    assert total("base") == pytest.approx(total("tpu"))


def test_equal_hourly_prices_never_break_even_in_hours(tmp_path: Path) -> None:
    costs = run_cost(synthetic_run.write_run(tmp_path), synthetic_run.cost_settings())
    point = next(e for e in costs["break_even"] if e["arms"] == ["tpu", "gpu"] and e["input_tokens"] is None)
    assert point["serving_hours"] is None
    assert point["cheaper_before"] == point["cheaper_after"] == "tpu"


def test_the_sensitivity_brackets_the_total_and_scales_with_the_price(tmp_path: Path) -> None:
    costs = changed_costs(tmp_path, lambda cell: None, utilisation=0.5)
    gpu = costs["sensitivity"]["arms"]["gpu"]
    bars = {bar["parameter"]: bar["usd"] for bar in gpu["bars"]}
    assert bars["price_factor"] == pytest.approx([gpu["usd"] / 2, gpu["usd"] * 2])
    assert bars["utilisation"][0] > gpu["usd"] > bars["utilisation"][1]
    low, high = bars["spot_interruptions_per_hour"]
    assert low == pytest.approx(gpu["usd"] * 0.02 / 0.067)
    assert high > low


def test_an_unknown_spot_price_leaves_that_bar_out(tmp_path: Path) -> None:
    costs = changed_costs(tmp_path, lambda cell: None, spot_prices={"laptop": None})
    bars = {bar["parameter"]: bar["usd"] for bar in costs["sensitivity"]["arms"]["gpu"]["bars"]}
    assert bars["spot_interruptions_per_hour"] == [None, None]


def test_a_spot_machine_is_paid_for_lost_work_and_restarts_too(tmp_path: Path) -> None:
    spot = {"laptop": {**PRICE, "kind": "spot", "usd_per_hour": 0.02}}
    calm = changed_costs(tmp_path / "calm", lambda cell: None, prices=spot)
    often = changed_costs(tmp_path / "often", lambda cell: None, prices=spot, interruptions_per_hour=6.0)
    trainings = [costs["arms"]["gpu"]["training"] for costs in (calm, often)]
    assert trainings[0]["paid_hours"] == pytest.approx(trainings[0]["wall_clock_hours"])
    assert trainings[1]["paid_hours"]["mean"] > trainings[1]["wall_clock_hours"]["mean"]
    assert trainings[1]["cost_usd"]["mean"] == pytest.approx(trainings[1]["paid_hours"]["mean"] * 0.02)
    volumes = [costs["arms"]["gpu"]["tco"]["by_tokens"][0]["serving_hours"] for costs in (calm, often)]
    assert volumes[1] > volumes[0]


def test_machines_on_demand_are_not_taken_away(tmp_path: Path) -> None:
    calm = changed_costs(tmp_path / "calm", lambda cell: None)
    often = changed_costs(tmp_path / "often", lambda cell: None, interruptions_per_hour=6.0)
    assert calm["arms"] == often["arms"]


def test_a_run_that_would_never_end_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spot = {"laptop": {**PRICE, "kind": "spot"}}
    with pytest.raises(SystemExit):
        changed_costs(
            tmp_path, lambda cell: None, prices=spot, interruptions_per_hour=30_000.0, checkpoint_interval_steps=300
        )
    assert "it would never end; lower train.checkpoint_interval_steps" in capsys.readouterr().err


def test_missing_scores_are_refused_by_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synthetic_run.write_run(tmp_path)
    for path in [*folder.glob("scores/base/*"), *folder.glob("samples/base/*")]:
        path.unlink()
    with pytest.raises(SystemExit):
        run_cost(folder, synthetic_run.cost_settings())
    assert "arm base: none of the files of --scores is of this arm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prices": {"laptop": {**PRICE, "usd_per_hour": 0}}}, "prices.laptop: usd_per_hour: expected a price above 0"),
        (
            {"prices": {"laptop": {**PRICE, "usd_per_hour": -3}}},
            "prices.laptop: usd_per_hour: expected a price above 0",
        ),
        ({"prices": {}}, "prices: none of laptop"),
        ({"prices": {"laptop": None}}, "prices.laptop: expected an object, found None"),
    ],
)
def test_a_bad_price_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        run_cost(synthetic_run.write_run(tmp_path), {**synthetic_run.cost_settings(), **change})
    assert exit_status.value.code == 2
    assert message in capsys.readouterr().err


def test_results_of_other_hardware_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synthetic_run.write_run(tmp_path)
    (folder / "bench/tpu.json").write_text(json.dumps(synthetic_run.bench_json("tpu", hardware="slice")))
    with pytest.raises(SystemExit):
        run_cost(folder, synthetic_run.cost_settings())
    assert "arm tpu: results are of hardware slice, the configuration says laptop" in capsys.readouterr().err


def test_a_missing_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synthetic_run.write_run(tmp_path, seeds=(0,))
    (folder / "train/gpu/seed0/run.json").unlink()
    with pytest.raises(SystemExit):
        run_cost(folder, synthetic_run.cost_settings())
    assert "arm gpu: found 0 training runs" in capsys.readouterr().err
