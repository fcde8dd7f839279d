"""Arms compared from their score files."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from scipy import stats

from scripts.common.files import write_json
from scripts.verilog.compare import main
from scripts.verilog.comparison import correct_for_several
from tests.unit import synthetic_run
from tests.unit.verilog.tools import SCHEMAS


def run(folder: Path, scores: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    paths = []
    for score in scores:
        paths.append(folder / f"{score['arm']}{score['seed']}.json")
        write_json(paths[-1], score)
    settings = {**synthetic_run.compare_settings(), **changes}
    main(["--settings", json.dumps(settings), "--scores", *map(str, paths), "--output", str(folder / "out.json")])
    return json.loads((folder / "out.json").read_text())


def scores(seeds: int = 1, problems: int = 32) -> list[dict[str, Any]]:
    skills = {"base": 0.1, "tpu": 0.6, "gpu": 0.65}
    return [
        synthetic_run.score_json(arm, seed, problems, skill)
        for arm, skill in skills.items()
        for seed in range(1 if arm == "base" else seeds)
    ]


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_result_file(tmp_path: Path, seeds: int) -> None:
    result = run(tmp_path, scores(seeds))
    jsonschema.validate(result, json.loads((SCHEMAS / "comparisons.schema.json").read_text()))
    assert [pair["arm"] for pair in result["comparisons"]] == ["base", "tpu"]
    shares = {
        arm: np.mean([score["pass_at_k"]["1"] for score in scores(seeds) if score["arm"] == arm])
        for arm in ("base", "tpu", "gpu")
    }
    for arm, share in shares.items():
        assert result["arms"][arm]["1"]["estimate"] == pytest.approx(share)
    for pair in result["comparisons"]:
        rates = pair["pass_at_k"]["1"]
        assert rates["difference"] == pytest.approx(shares[pair["arm"]] - shares["gpu"])
        assert rates["low"] <= rates["difference"] <= rates["high"]
    assert result["comparisons"][0]["pass_at_k"]["1"]["p_other_problems_holm"] < 0.01


def test_a_verdict_of_no_significance_comes_with_its_interval(tmp_path: Path) -> None:
    for pair in run(tmp_path, scores())["comparisons"]:
        assert "95% interval over problems" in pair["sentence"]
        assert f"{pair['pass_at_k']['1']['low']:+.4f} to {pair['pass_at_k']['1']['high']:+.4f}" in pair["sentence"]
    assert "not significant over problems of the kind" in pair["sentence"]


def test_problems_that_flip_are_named(tmp_path: Path) -> None:
    first, second = synthetic_run.score_json("tpu", 0, 4, 0.5), synthetic_run.score_json("gpu", 0, 4, 0.5)
    for score, passed in ((first, [5, 0, 3, 0]), (second, [0, 2, 1, 0])):
        for entry, count in zip(score["by_problem"].values(), passed, strict=True):
            entry["passed"] = count
    (pair,) = run(tmp_path, [first, second], arms=["tpu", "gpu"])["comparisons"]
    assert pair["flips"] == {"solved_by_arm_only": ["Prob001_task_1"], "solved_by_baseline_only": ["Prob002_task_2"]}


def test_the_same_arm_twice_does_not_differ(tmp_path: Path) -> None:
    twin = {**synthetic_run.score_json("gpu", 0, 20, 0.6), "arm": "tpu"}
    (pair,) = run(tmp_path, [synthetic_run.score_json("gpu", 0, 20, 0.6), twin], arms=["tpu", "gpu"])["comparisons"]
    rates = pair["pass_at_k"]["1"]
    assert (rates["difference"], rates["low"], rates["high"], rates["p_other_problems"]) == (0, 0, 0, 1)
    assert pair["samples"]["p_same_problems"] == pytest.approx(1)
    assert pair["power"]["observed"]["problems"] is None


def test_several_arms_are_corrected_by_holms_method() -> None:
    values = [0.01, 0.04, 0.03]
    pairs: list[dict[str, Any]] = [
        {"samples": {"p_same_problems": p}, "pass_at_k": {"1": {"p_other_problems": p}}} for p in values
    ]
    correct_for_several(pairs)
    assert [pair["samples"]["p_same_problems_holm"] for pair in pairs] == pytest.approx([0.03, 0.06, 0.06])
    assert [pair["pass_at_k"]["1"]["p_other_problems_holm"] for pair in pairs] == pytest.approx([0.03, 0.06, 0.06])


def test_one_arm_alone_has_an_interval_and_no_comparison(tmp_path: Path) -> None:
    result = run(tmp_path, [synthetic_run.score_json("gpu", 0)], arms=["gpu"])
    assert result["comparisons"] == []
    low, high = (result["arms"]["gpu"]["1"][key] for key in ("low", "high"))
    counts = [entry["passed"] / 5 for entry in synthetic_run.score_json("gpu", 0)["by_problem"].values()]
    margin = 1.96 * stats.sem(counts)
    assert (high - low) / 2 == pytest.approx(margin, rel=0.25)


def change(scores: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    if what == "a problem":
        scores[0]["by_problem"] = dict(list(scores[0]["by_problem"].items())[1:])
    elif what == "an arm":
        scores = [score for score in scores if score["arm"] != "base"]
    else:
        scores[1]["samples_per_problem"] = 2
    return scores


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("a problem", "score both on the same problems"),
        ("an arm", "arm base: none of the files"),
        ("samples", "pass@5 needs 5 samples a problem, found 2"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, change(scores(), what))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
