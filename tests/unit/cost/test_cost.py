"""costs.json: the prices given in the settings times what was measured, arm by arm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scripts.common.settings import parse_settings
from scripts.cost import cost
from scripts.cost.breakdown import Settings, arm_costs
from tests.unit import synthetic_run

PRICE = synthetic_run.HARDWARE["laptop"]["price"]
SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/results/costs.schema.json").read_text())


def run_cost(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    flags = synthetic_run.result_flags(folder, scores=False)
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
    assert [(entry["serving_hours"], entry["usd"]["mean"]) for entry in base["tco"]] == [
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


def test_the_price_of_tokens_never_written_is_unknown() -> None:
    bench = synthetic_run.bench_json("base")
    for cell in bench["cells"]:
        cell["output_tokens_per_sec"] = 0.0
    settings = parse_settings(Settings, json.dumps(synthetic_run.cost_settings()))
    context = arm_costs(settings.arms[0], [], bench, settings)["serving"]["contexts"][0]
    assert context["peak"]["usd_per_million_output_tokens"] is None


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
