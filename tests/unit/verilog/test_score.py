"""The score of one model, from rows of verdicts."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.files import write_json, write_jsonl
from scripts.verilog.intervals import Resampling
from scripts.verilog.score import main, score
from scripts.verilog.verdicts import VERDICTS
from tests.unit.verilog.tools import SCHEMAS

TWO_PROBLEMS = {"Prob001_a": ["pass", "mismatch"], "Prob002_b": ["timeout", "mismatch"]}
DISAGREEMENT = {"problem": "Prob001_a", "sample": 0, "verdict": "pass", "detail": "", "verilog_eval": "T"}
REPORT = {
    "icarus_version": "11.0",
    "references": [{"problem": "Prob002_b", "verdict": "compile_error"}],
    "verilog_eval_counts": {"R": 1, "T": 1},
    "disagreements": [DISAGREEMENT],
}
REFERENCES = {
    "Prob001_a": "module RefModule(output y); assign y = 0; endmodule",
    "Prob002_b": "module RefModule(input clk, output reg y); always @(posedge clk) y <= 1; endmodule",
}
RESAMPLING = Resampling(level=0.95, resamples=200, seed=0)


def rows(verdicts: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [
        {
            "problem": name,
            "sample": index,
            "verdict": verdict,
            "detail": "",
            "finish_reason": "length" if verdict == "truncated" else "stop",
        }
        for name, drawn in verdicts.items()
        for index, verdict in enumerate(drawn)
    ]


def run(folder: Path, verdicts: dict[str, list[str]], ks: list[int]) -> dict[str, Any]:
    write_jsonl(folder / "verdicts.jsonl", rows(verdicts))
    write_json(folder / "report.json", REPORT)
    write_json(folder / "generation.json", {"engines": {"vllm 1": 4}})
    for name in {*verdicts, *REFERENCES}:
        for suffix, text in (("prompt.txt", "x"), ("ref.sv", REFERENCES.get(name, "x")), ("test.sv", "x")):
            (folder / "problems").mkdir(exist_ok=True)
            (folder / "problems" / f"{name}_{suffix}").write_text(text)
    flags = json.dumps({"arm": "tpu", "seed": 3, "pass_at_k": ks, "resampling": dataclasses.asdict(RESAMPLING)})
    files = ["--verdicts", "verdicts.jsonl", "--report", "report.json", "--output", "score.json"]
    files += ["--problems", "problems", "--generation", "generation.json"]
    main(["--settings", flags, *[part if part.startswith("--") else str(folder / part) for part in files]])
    return json.loads((folder / "score.json").read_text())


def test_the_result_file(tmp_path: Path) -> None:
    result = run(tmp_path, TWO_PROBLEMS, [1, 2])
    jsonschema.validate(result, json.loads((SCHEMAS / "score.schema.json").read_text()))
    result.pop("provenance")
    # Of two problems with 1/2 and 0/2 a draw has a mean of 0, 1/4 or 1/2.
    assert result.pop("pass_at_k_interval")["1"] == {"level": 0.95, "low": 0.0, "high": 0.5}
    assert result == {
        "arm": "tpu",
        "seed": 3,
        "problems": 2,
        "samples_per_problem": 2,
        "samples_passed": 1,
        "pass_at_k": {"1": 0.25, "2": 0.5},
        "problems_solved": 1,
        "samples_cut_off": 0,
        "verdict_counts": {"pass": 1, "mismatch": 2, "timeout": 1},
        "by_problem": {
            "Prob001_a": {"passed": 1, "samples": 2, "category": "combinational"},
            "Prob002_b": {"passed": 0, "samples": 2, "category": "clocked"},
        },
        "by_category": {
            "clocked": {
                "problems": 1, "samples": 2, "passed": 0, "verdict_counts": {"mismatch": 1, "timeout": 1},
            },
            "combinational": {
                "problems": 1, "samples": 2, "passed": 1, "verdict_counts": {"pass": 1, "mismatch": 1},
            },
        },
        "verilog_eval_counts": {"R": 1, "T": 1},
        "disagreements": [DISAGREEMENT],
        "unsolvable_problems": ["Prob002_b"],
        "ceiling": 0.5,
        "engines": {"vllm 1": 4},
        "icarus_version": "11.0",
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"Prob\d{3}_x", fullmatch=True),
        st.lists(st.sampled_from(VERDICTS), min_size=4, max_size=4),
        min_size=1,
    )
)
def test_laws_of_a_score(verdicts: dict[str, list[str]]) -> None:
    categories = {name: ("clocked", "combinational")[index % 2] for index, name in enumerate(verdicts)}
    result = score(rows(verdicts), [1, 4], categories, RESAMPLING)
    total = result["problems"] * result["samples_per_problem"]
    assert sum(result["verdict_counts"].values()) == total
    assert result["pass_at_k"]["1"] == pytest.approx(result["samples_passed"] / total)
    assert result["pass_at_k"]["4"] == pytest.approx(result["problems_solved"] / result["problems"])
    assert sum(entry["passed"] for entry in result["by_category"].values()) == result["samples_passed"]
    assert result["samples_cut_off"] == result["verdict_counts"].get("truncated", 0)
    assert result == score(rows(verdicts)[::-1], [1, 4], categories, RESAMPLING)


@pytest.mark.parametrize(
    ("verdicts", "ks", "message"),
    [
        ({"a": ["pass"], "b": ["pass", "pass"]}, [1], "same number of samples"),
        ({"a": ["pass", "pass"]}, [1, 3], "pass@3 needs 3 samples"),
        ({"a": ["passed"]}, [1], "unknown verdict 'passed'"),
        ({}, [1], "found no problem"),
    ],
    ids=str,
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


def test_samples_of_a_problem_that_is_gone_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, TWO_PROBLEMS, [1])
    for path in (tmp_path / "problems").glob("Prob001_a_*"):
        path.unlink()
    with pytest.raises(SystemExit):
        main(
            [
                "--settings",
                json.dumps({"arm": "a", "seed": 0, "pass_at_k": [1], "resampling": dataclasses.asdict(RESAMPLING)}),
            ]
            + [
                text
                for key in ("verdicts.jsonl", "report.json", "problems", "generation.json")
                for text in (f"--{key.split('.')[0]}", str(tmp_path / key))
            ]
            + ["--output", str(tmp_path / "other.json")]
        )
    assert "Prob001_a: no such problem" in capsys.readouterr().err
