"""Every table of a run, from result files to CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.cost import cost
from scripts.report import evaluation_tables, tables
from scripts.verilog import compare, letters
from scripts.verilog import published as published_evaluation
from tests.unit import synthetic_run

NAMES = (
    "hardware", "training", "inference", "inference_by_rate", "cost_per_million_tokens", "tco",
    "break_even", "sensitivity",
    "evaluation", "evaluation_statistics", "problems", "disagreements", "published_evaluation",
)  # fmt: skip


def write_tables(folder: Path, settings: dict[str, Any] | None = None) -> Path:
    costs = folder / "costs.json"
    flags = synthetic_run.result_flags(folder, samples=True)
    cost.main(["--settings", json.dumps(synthetic_run.cost_settings()), *flags, "--output", str(costs)])
    settings = settings or synthetic_run.table_settings()
    output = folder / "tables"
    flags = [*synthetic_run.result_flags(folder), *write_evaluation(folder, settings["baseline_arm"])]
    tables.main(["--settings", json.dumps(settings), *flags, "--costs", str(costs), "--output-dir", str(output)])
    return output


def write_evaluation(folder: Path, baseline: str = "gpu") -> list[str]:
    """The flags of what the evaluation stage makes of the scores."""
    comparisons, published = folder / "comparisons.json", folder / "published_evaluation.json"
    scores = list(map(str, sorted(folder.glob("scores/*/*.json"))))
    compared = {**synthetic_run.compare_settings(), "baseline_arm": baseline}
    compare.main(["--settings", json.dumps(compared), "--scores", *scores, "--output", str(comparisons)])
    statistics = {key: compared[key] for key in ("resampling", "difference_of_interest")}
    figures = ["--published", "resources/paper/published/6_evaluation.yaml", "--output", str(published)]
    published_evaluation.main(["--settings", json.dumps(statistics), *figures])
    return ["--comparisons", str(comparisons), "--published-evaluation", str(published)]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(synthetic_run.write_run(tmp_path_factory.mktemp("run")))


def rows_of(output: Path, name: str) -> dict[str, dict[str, str]]:
    """The rows of a table's CSV, by section and quantity."""
    with open(output / f"{name}.csv", newline="") as handle:
        return {f"{row['section']}/{row['quantity']}".lstrip("/"): row for row in csv.DictReader(handle)}


def test_every_table_is_written_in_every_form(output: Path) -> None:
    assert {path.name for path in output.iterdir()} == {
        f"{name}.{suffix}" for name in NAMES for suffix in ("csv", "md", "tex", "html")
    }


@pytest.mark.parametrize("name", NAMES[1:-1])
def test_every_table_of_measurements_names_the_machine_and_the_scale(output: Path, name: str) -> None:
    text = (output / f"{name}.md").read_text()
    assert "CPU, 2 cores (host: Imaginary CPU, 2 CPUs)" in text
    assert "A miniature measured on a CPU" in text


@pytest.mark.parametrize(
    "name", ["hardware", "training", "cost_per_million_tokens", "tco", "break_even", "sensitivity"]
)
def test_every_table_of_costs_names_its_price_and_source(output: Path, name: str) -> None:
    text = (output / f"{name}.tex").read_text()
    assert (
        "Price of CPU, 2 cores: 0.067 USD/h on demand; region: not stated; date: not stated; source: made up." in text
    )


def test_an_untuned_arm_has_dashes_and_blanks_for_training(output: Path) -> None:
    for name, row in rows_of(output, "training").items():
        assert row["base"] == "", name
        assert row["base_vs_gpu"] == "", name
    line = next(line for line in (output / "training.md").read_text().splitlines() if line.startswith("| Wall-clock"))
    assert line.split("|")[2].strip() == "–"


def test_training_speed_is_of_the_whole_run_and_without_its_start(output: Path) -> None:
    rows = rows_of(output, "training")
    whole = rows["Whole run/Throughput, real tokens"]
    assert float(whole["gpu"]) == pytest.approx((240_000 / 120 + 240_000 / 121) / 2)
    assert float(whole["tpu_vs_gpu"]) == pytest.approx(1.5)
    assert whole["gpu_n"] == "2"
    timed = rows["After compilation/Throughput, padded tokens"]
    assert float(timed["gpu"]) == pytest.approx((459_264 / 100 + 459_264 / 101) / 2)
    assert float(rows["After compilation/Time per sample"]["gpu"]) == pytest.approx(100.5 / 2392)
    assert float(rows["Start and compilation"]["gpu"]) == pytest.approx(20.0)


def test_a_run_of_one_step_has_no_speed_after_it(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path, seeds=(0,))
    run = {**synthetic_run.run_json("gpu", 0), "timed_sec": 0.0, "timed_samples": 0, "timed_real_tokens": 0}
    (folder / "train/gpu/seed0/run.json").write_text(json.dumps(run))
    rows = rows_of(write_tables(folder), "training")
    assert rows["After compilation/Throughput, real tokens"]["gpu"] == ""
    assert rows["After compilation/Time per sample"]["gpu"] == ""
    assert float(rows["Whole run/Throughput, real tokens"]["gpu"]) == pytest.approx(2000)


def test_evaluation_lists_the_verdicts_that_occurred(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path)
    path = folder / "scores/base/seed0.json"
    score = json.loads(path.read_text())
    score["verdict_counts"] |= {"compile_error": 7, "no_module": 0}
    score["unsolvable_problems"] = ["Prob099_x"]
    path.write_text(json.dumps(score))
    output = write_tables(folder)
    rows = rows_of(output, "evaluation")
    note = "- Counted, though their own reference fails on this simulator: Prob099_x."
    assert note in (output / "evaluation.md").read_text()
    assert [rows["Verdicts [samples]/Compile error"][arm] for arm in ("base", "gpu")] == ["7.0", "0.0"]
    assert "Verdicts [samples]/No module" not in rows


def with_letters(
    folder: Path, arm: str, counts: dict[str, int], disagreements: list[tuple[str, int, str, str]]
) -> None:
    """Gives the score of an arm's first seed VerilogEval's letters, and (problem, sample, verdict, letter) to list."""
    path = folder / f"scores/{arm}/seed0.json"
    keys = ("problem", "sample", "verdict", "verilog_eval")
    listed = [dict(zip(keys, entry, strict=True)) | {"detail": ""} for entry in disagreements]
    score = json.loads(path.read_text()) | {"verilog_eval_counts": counts, "disagreements": listed}
    path.write_text(json.dumps(score))


def test_verilog_evals_letters_are_counted_below_the_verdicts(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path, seeds=(0,))
    with_letters(folder, "base", {".": 100, "T": 2, "R": 50}, [])
    rows = rows_of(write_tables(folder), "evaluation")
    section = "VerilogEval's own letters [samples]"
    counts = {name.removeprefix(f"{section}/"): row["base"] for name, row in rows.items() if row["section"] == section}
    assert counts == {
        ". pass": "100.0",
        "T timeout": "2.0",
        "R other failure at run time": "50.0",
        "None: nothing was run": "8.0",
    }
    assert rows[f"{section}/T timeout"]["gpu"] == "0.0"


def test_letters_are_verilog_evals_in_its_order() -> None:
    assert "".join(evaluation_tables.LETTERS) == letters.LETTERS


def test_samples_that_verilog_eval_judges_otherwise_are_listed(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path, seeds=(0,))
    with_letters(folder, "tpu", {"T": 160}, [("Prob082_x", 10, "pass", "T"), ("Prob082_x", 9, "pass", "T")])
    with_letters(folder, "gpu", {".": 160}, [("Prob082_x", 9, "pass", "T"), ("Prob007_x", 0, "refused", ".")])
    output = write_tables(folder)
    rows = rows_of(output, "disagreements")
    assert {name: (row["base"], row["tpu"], row["gpu"]) for name, row in rows.items()} == {
        "Samples": ("0", "2", "2"),
        "Prob007_x/Seed 0, sample 0": ("", "", "refused / ."),
        "Prob082_x/Seed 0, sample 9": ("", "pass / T", "pass / T"),
        "Prob082_x/Seed 0, sample 10": ("", "pass / T", ""),
    }
    assert list(rows)[2] == "Prob082_x/Seed 0, sample 9"
    counted = (
        "- Samples that pass here and not by VerilogEval's own rules, or the other way round: base 0, tpu 2, gpu 2."
    )
    for name in ("evaluation", "disagreements"):
        assert counted in (output / f"{name}.md").read_text()


def test_where_no_judgement_differs_the_page_says_so(output: Path) -> None:
    rows = rows_of(output, "disagreements")
    assert {name: [row[arm] for arm in ("base", "tpu", "gpu")] for name, row in rows.items()} == {"Samples": ["0"] * 3}
    for name, suffix in (("evaluation", "md"), ("disagreements", "md"), ("disagreements", "tex")):
        text = (output / f"{name}.{suffix}").read_text()
        assert "VerilogEval's own rules pass the same samples, wherever its recipe was run." in text


def test_a_score_stands_beside_its_interval_its_ceiling_and_the_answers_cut_off(output: Path) -> None:
    rows = rows_of(output, "evaluation")
    low, high = map(float, rows["pass@1, 95% interval"]["gpu"].split(" to "))
    assert low < float(rows["pass@1"]["gpu"]) < high
    assert rows["Ceiling of pass@k"]["gpu"] == "1.0"
    assert rows["Samples cut off at their longest"]["gpu"] == "2.0"
    assert 0 < float(rows["pass@1 by kind of circuit/Clocked"]["gpu"]) < 1


def test_the_statistics_are_of_the_arms_against_the_baseline(output: Path) -> None:
    rows = rows_of(output, "evaluation_statistics")
    assert all(row["gpu"] == "" for row in rows.values())
    assert float(rows["pass@1/Difference"]["base"]) < -0.3
    assert float(rows["These problems/p, sampling again"]["base"]) < 0.001
    text = (output / "evaluation_statistics.md").read_text()
    assert "base vs gpu" not in text
    assert "pass@1 of tpu less gpu's" in text


def test_every_problem_has_its_share(output: Path) -> None:
    rows = rows_of(output, "problems")
    assert len(rows) == 32
    assert {row["section"] for row in rows.values()} == {"Clocked", "Combinational"}


def test_the_papers_figures_are_marked_as_computed(output: Path) -> None:
    text = (output / "published_evaluation.md").read_text()
    assert "Computed from the published totals, not measured: 500 against 544 of 156 x 5 samples pass" in text
    row = rows_of(output, "published_evaluation")["p, over problems"]
    assert float(row["least_disagreement"]) < 0.05 < float(row["most_disagreement"])


def test_inference_shows_the_peak_and_three_rates_of_each_context(output: Path) -> None:
    rows = rows_of(output, "inference")
    bench = synthetic_run.bench_json("gpu")
    peak = max(cell["output_tokens_per_sec"] for cell in bench["cells"] if cell["input_tokens"] == 64)
    assert float(rows["64 in / 32 out/Peak output throughput"]["gpu"]) == peak
    assert "256 in / 32 out/Median TTFT, all at once" in rows
    assert len(rows) == 2 * (1 + 3 * 2)


def test_a_cell_that_an_arm_was_not_measured_at_is_blank(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path)
    bench = synthetic_run.bench_json("base", rates=(2, 8))
    (folder / "bench/base.json").write_text(json.dumps(bench))
    row = rows_of(write_tables(folder), "inference_by_rate")["64 in / 32 out, all at once/Output throughput"]
    assert row["base"] == ""
    assert row["gpu"] != ""


def test_requests_that_were_not_completed_are_noted(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path)
    bench = synthetic_run.bench_json("gpu")
    bench["cells"][0]["completed"] = 11
    (folder / "bench/gpu.json").write_text(json.dumps(bench))
    note = "- Incomplete: gpu, 64 in / 32 out, 2 requests/s: 11 of 12 requests completed."
    assert note in (write_tables(folder) / "inference.md").read_text()


def test_output_tokens_have_a_price_at_the_peak_and_at_every_rate(output: Path) -> None:
    rows = rows_of(output, "cost_per_million_tokens")
    section = "Output, 64 in / 32 out"
    at_rates = [float(rows[f"{section}/{rate}"]["gpu"]) for rate in ("2 requests/s", "8 requests/s", "All at once")]
    assert float(rows[f"{section}/At peak throughput"]["gpu"]) == min(at_rates)


def test_a_burst_is_the_peak_and_not_sustained(output: Path) -> None:
    rows = rows_of(output, "cost_per_million_tokens")
    section = "Output, 64 in / 32 out"
    sustained = rows[f"{section}/At sustained throughput"]["gpu"]
    assert sustained == rows[f"{section}/2 requests/s"]["gpu"]
    assert rows[f"{section}/At peak throughput"]["gpu"] == rows[f"{section}/All at once"]["gpu"]


def test_a_volume_of_tokens_costs_its_hours_and_the_training(output: Path) -> None:
    rows = rows_of(output, "tco")
    section = "Training and a volume of output tokens, 64 in / 32 out"
    training = float(rows["Training"]["gpu"])
    hours = float(rows[f"{section}/100 M tokens, paid serving"]["gpu"])
    assert float(rows[f"{section}/100 M tokens"]["gpu"]) == pytest.approx(training + hours * 0.067)


def test_break_even_is_a_pair_of_arms_a_cell(output: Path) -> None:
    rows = rows_of(output, "break_even")
    hours = rows["Hours served/Tunix (JAX) and ..."]
    assert (hours["base"], hours["tpu"], hours["gpu"]) == ("", "", "never: Tunix (JAX) is cheaper")
    tokens = rows["Output tokens served, 64 in / 32 out/base (untuned) and ..."]["tpu"]
    assert tokens.endswith("M tokens: below base (untuned) is cheaper, above Tunix (JAX)")


def test_sensitivity_is_the_total_with_one_assumption_changed(output: Path) -> None:
    rows = rows_of(output, "sensitivity")
    total = float(rows["As configured"]["gpu"])
    assert float(rows["All prices, 2 ×"]["gpu"]) == pytest.approx(2 * total)
    assert float(rows["Utilisation of the server, 100%"]["gpu"]) == pytest.approx(total)
    assert "- Spot price of CPU, 2 cores: 0.02 USD/h;" in (output / "sensitivity.md").read_text()


def test_ownership_has_a_row_for_each_serving_time(output: Path) -> None:
    rows = rows_of(output, "tco")
    hours = {hours: float(rows[f"Training and {hours} h of serving"]["gpu"]) for hours in (1, 8, 24)}
    assert hours[24] - hours[8] == pytest.approx(16 * 0.067)
    assert float(rows["Training"]["gpu"]) + 0.067 == pytest.approx(hours[1])
    assert "Untuned, so nothing is paid for training: base." in (output / "tco.md").read_text()


def test_accelerators_are_not_called_a_miniature(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path)
    settings = synthetic_run.table_settings()
    settings["hardware"]["laptop"] = synthetic_run.HARDWARE["slice"]
    output = write_tables(folder, settings)
    assert "miniature" not in (output / "training.md").read_text()
    assert float(rows_of(output, "hardware")["Training/Memory, all chips"]["gpu"]) == pytest.approx(4 * 95.7)


def test_results_of_an_arm_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synthetic_run.write_run(tmp_path)
    write_tables(folder)
    settings = synthetic_run.table_settings()
    settings["arms"].append({**settings["arms"][0], "name": "new"})
    flags = [*synthetic_run.result_flags(folder), "--costs", str(folder / "costs.json"), "--output-dir", str(tmp_path)]
    flags += write_evaluation(folder)
    with pytest.raises(SystemExit) as exit_status:
        tables.main(["--settings", json.dumps(settings), *flags])
    assert exit_status.value.code == 2
    assert "arm new: none of the files of --benches is of this arm" in capsys.readouterr().err


def test_a_run_without_a_trained_arm_has_tables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_run, "ARMS", synthetic_run.ARMS[:1])
    settings = {**synthetic_run.table_settings(), "baseline_arm": "base"}
    output = write_tables(synthetic_run.write_run(tmp_path), settings)
    assert {row["base"] for row in rows_of(output, "training").values()} == {""}
    assert float(rows_of(output, "tco")["Training and 1 h of serving"]["base"]) == pytest.approx(0.067)


def test_three_seeds_are_a_mean_a_spread_and_their_number(tmp_path: Path) -> None:
    folder = synthetic_run.write_run(tmp_path, seeds=(0, 1, 2))
    output = write_tables(folder)
    losses = [json.loads(path.read_text())["final_loss"] for path in sorted(folder.glob("train/gpu/*/run.json"))]
    assert len(losses) == 3
    row = rows_of(output, "training")["Result/Final loss"]
    assert float(row["gpu"]) == pytest.approx(np.mean(losses))
    assert float(row["gpu_sd"]) == pytest.approx(np.std(losses, ddof=1))
    assert row["gpu_n"] == "3"
    text = (output / "training.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| Final loss")]
    assert line.count(" (n=3)") == line.count(" ± 0.01") == 2
    assert "mean ± sample standard deviation (n seeds)" in text
    scores = rows_of(output, "evaluation")["pass@1"]
    assert (scores["base_n"], scores["gpu_n"], scores["tpu_n"]) == ("1", "3", "3")
