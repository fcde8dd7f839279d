"""The score of one model, from rows of verdicts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.files import write_json, write_jsonl
from scripts.verilog.score import main, score
from scripts.verilog.verdicts import VERDICTS
from tests.unit.verilog.tools import SCHEMAS

TWO_PROBLEMS = {"Prob001_a": ["pass", "mismatch"], "Prob002_b": ["timeout", "mismatch"]}
REPORT = {"icarus_version": "11.0", "references": [{"problem": "Prob002_b", "verdict": "compile_error"}]}


def rows(verdicts: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [
        {"problem": name, "sample": index, "verdict": verdict, "detail": "", "finish_reason": "stop"}
        for name, drawn in verdicts.items()
        for index, verdict in enumerate(drawn)
    ]


def run(folder: Path, verdicts: dict[str, list[str]], ks: list[int]) -> dict[str, Any]:
    write_jsonl(folder / "verdicts.jsonl", rows(verdicts))
    write_json(folder / "report.json", REPORT)
    settings = json.dumps({"arm": "tpu", "seed": 3, "pass_at_k": ks})
    files = ["--verdicts", "verdicts.jsonl", "--report", "report.json", "--output", "score.json"]
    main(["--settings", settings, *[part if part.startswith("--") else str(folder / part) for part in files]])
    return json.loads((folder / "score.json").read_text())


def test_the_result_file(tmp_path: Path) -> None:
    result = run(tmp_path, TWO_PROBLEMS, [1, 2])
    jsonschema.validate(result, json.loads((SCHEMAS / "score.schema.json").read_text()))
    result.pop("provenance")
    assert result == {
        "arm": "tpu",
        "seed": 3,
        "problems": 2,
        "samples_per_problem": 2,
        "samples_passed": 1,
        "pass_at_k": {"1": 0.25, "2": 0.5},
        "problems_solved": 1,
        "verdict_counts": {"pass": 1, "mismatch": 2, "timeout": 1},
        "by_problem": {"Prob001_a": {"passed": 1, "samples": 2}, "Prob002_b": {"passed": 0, "samples": 2}},
        "unsolvable_problems": ["Prob002_b"],
        "icarus_version": "11.0",
    }


@given(
    st.dictionaries(
        st.from_regex(r"Prob\d{3}_x", fullmatch=True),
        st.lists(st.sampled_from(VERDICTS), min_size=4, max_size=4),
        min_size=1,
    )
)
def test_laws_of_a_score(verdicts: dict[str, list[str]]) -> None:
    result = score(rows(verdicts), [1, 4])
    total = result["problems"] * result["samples_per_problem"]
    assert sum(result["verdict_counts"].values()) == total
    assert result["pass_at_k"]["1"] == pytest.approx(result["samples_passed"] / total)
    assert result["pass_at_k"]["4"] == pytest.approx(result["problems_solved"] / result["problems"])
    assert result == score(rows(verdicts)[::-1], [1, 4])


@pytest.mark.parametrize(
    ("verdicts", "ks", "message"),
    [
        ({"a": ["pass"], "b": ["pass", "pass"]}, [1], "same number of samples"),
        ({"a": ["pass", "pass"]}, [1, 3], "pass@3 needs 3 samples"),
        ({"a": ["passed"]}, [1], "unknown verdict 'passed'"),
        ({}, [1], "found no problem"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verdicts: dict[str, list[str]], ks: list[int], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, verdicts, ks)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "verdicts.jsonl" in error
    assert message in error
    assert not (tmp_path / "score.json").exists()
