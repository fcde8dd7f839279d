"""The paper's totals through the same statistics."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scipy import stats

from scripts.verilog.count_tables import Totals
from scripts.verilog.published import main, read_figures, solved_extremes
from tests.unit.verilog.tools import SCHEMAS

SETTINGS = {"resampling": {"level": 0.95, "resamples": 2000, "seed": 0}, "difference_of_interest": 0.05}
FIGURES = Path("resources/paper/published/6_evaluation.yaml")


def run(folder: Path, figures: Path = FIGURES) -> dict[str, Any]:
    output = folder / "published.json"
    main(["--settings", json.dumps(SETTINGS), "--published", str(figures), "--output", str(output)])
    return json.loads(output.read_text())


def test_what_follows_for_the_papers_not_significant(tmp_path: Path) -> None:
    result = run(tmp_path)
    jsonschema.validate(result, json.loads((SCHEMAS / "published_evaluation.schema.json").read_text()))
    assert result["arm"] == {"samples_passed": 500, "problems_solved": 124}
    for entry in result["extremes"].values():
        assert entry["difference"] == pytest.approx(0.6410 - 0.6974, abs=1e-4)
        assert entry["p_same_problems"] < 0.05
    over_problems = [entry["p_other_problems"] for entry in result["extremes"].values()]
    assert min(over_problems) < 0.001
    assert max(over_problems) > 0.3
    assert "over the sampling of these problems significant" in result["conclusion"]
    assert "over other problems not decided" in result["conclusion"]


def test_the_figures_are_those_of_the_transcription() -> None:
    found = read_figures(FIGURES)
    text = FIGURES.read_text()
    assert (found["problems"], found["samples_per_problem"]) == (156, 5)
    for line in (
        f"| pass@1 | {found['arm']['pass_at_1']:.4f} | {found['baseline']['pass_at_1']:.4f} |",
        f"| pass@5 | {found['arm']['pass_at_n']:.4f} | {found['baseline']['pass_at_n']:.4f} |",
        found["claim"],
    ):
        assert f'quote: "{line}"' in text
    assert found["source"] == "paper, section 6"


def test_even_samples_that_know_nothing_of_problems_differ(tmp_path: Path) -> None:
    # Drawn as if all samples were of one problem, which is the most that sampling can vary.
    naive = stats.chi2_contingency([[500, 280], [544, 236]], correction=False).pvalue
    worst = max(entry["p_same_problems"] for entry in run(tmp_path)["extremes"].values())
    assert worst <= 1.3 * naive < 0.05


def test_the_sign_test_on_solved_problems_is_mcnemars() -> None:
    found = solved_extremes(Totals(500, 124), Totals(544, 127), 156)
    assert found["p_least"] == pytest.approx(stats.binomtest(0, 3).pvalue)
    assert found["p_most"] == pytest.approx(max(stats.binomtest(n, 2 * n + 3).pvalue for n in range(30)))
    assert solved_extremes(Totals(5, 5), Totals(5, 5), 5)["p_least"] == 1.0


def test_figures_that_cannot_be_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.yaml"
    path.write_text(FIGURES.read_text().replace('printed: "0.6410"', 'printed: "0.6411"'))
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, path)
    assert ended.value.code == 2
    assert "0.6411 of 780 fits 0 counts" in capsys.readouterr().err


def test_a_claim_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.yaml"
    path.write_text(FIGURES.read_text().replace("gpu_pass_at_5:", "gpu_pass_at_6:"))
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path, path)
    assert "figures.yaml: claim 'gpu_pass_at_5' is missing" in capsys.readouterr().err
