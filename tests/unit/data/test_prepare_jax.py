"""The data stage as a command: counts that add up, clear errors, nothing half-written."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from transformers import AutoTokenizer

from scripts.common.files import read_json, read_jsonl
from scripts.common.token_rows import read_token_rows
from scripts.data import base_model, batching, fetch_rows, prepare

MODULE = "module TopModule(input a, output y);\n  assign y = ~a;\nendmodule"
OTHER = "module TopModule(input a, input b, output y);\n  assign y = a & b;\nendmodule"


def row(prompt: str, code: str) -> str:
    return json.dumps({"prompt": prompt, "response": f"<think>x</think><answer>```verilog\n{code}\n```</answer>"})


GOOD = row("Invert a.", MODULE)
AND = row("And a and b.", OTHER)
LONG = row(" ".join(f"Invert a{number}." for number in range(200)), MODULE)
NO_ANSWER = json.dumps({"prompt": "Invert a.", "response": "No."})
NO_MODULE = json.dumps({"prompt": "Invert a.", "response": "<answer>~a</answer>"})
BROKEN = row("Invert a.", "module TopModule(input a, output y);\n  assign y = ;\nendmodule")
SETTINGS: dict[str, Any] = {
    "max_rows": None, "max_row_bytes": 1_000_000, "on_bad_row": "fail",
    "filters": ["no_answer", "no_module", "too_long"],
    "near_duplicate_jaccard": None, "overlap_rouge_l": None, "compiler": None, "max_seq_len_tokens": 192,
    "chat": {"template": "model", "system_prompt": None},
}  # fmt: skip
COMPILER = {"timeout_sec": 20, "memory_bytes": 512 << 20, "sandboxed": True}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest = tmp_path_factory.mktemp("base") / "manifest.json"
    base_model.main(
        ["--settings", json.dumps({"source": "resources/mini/model", "revision": None}), "--output", str(manifest)]
    )
    return manifest


class Stage:
    """The data stage in a folder of its own."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base, self.out = folder, base, folder / "out"

    def run(self, lines: list[str | bytes], problems: Path | None = None, jobs: int = 1, **settings: Any) -> Path:
        file = self.folder / "rows.jsonl"
        file.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
        source = self.folder / "source/manifest.json"
        fetch = {"source": str(file), "revision": None}
        fetch_rows.main(["--settings", json.dumps(fetch), "--output", str(source)])
        prepare.main(
            ["--settings", json.dumps({**SETTINGS, **settings}), "--source", str(source),
             "--base-model", str(self.base), *(["--problems", str(problems)] if problems else []),
             "--state", str(self.folder / "state"), "--jobs", str(jobs), "--tokens", str(self.out / "train.parquet"),
             "--rows", str(self.out / "rows.jsonl"), "--report", str(self.out / "report.json")]
        )  # fmt: skip
        return self.out

    def report(self) -> dict[str, Any]:
        report = read_json(self.out / "report.json")
        assert report["rows_read"] == report["rows_kept"] + sum(report["rows_dropped"].values()) + report["bad_rows"]
        jsonschema.validate(report, json.loads(Path("schemas/results/data_report.schema.json").read_text()))
        return report


@pytest.fixture
def stage(tmp_path: Path, base: Path) -> Stage:
    return Stage(tmp_path, base)


def test_kept_and_dropped_add_up_to_the_rows_read(stage: Stage) -> None:
    out = stage.run([GOOD, LONG, NO_ANSWER, AND, NO_MODULE])
    report = stage.report()
    assert (report["rows_read"], report["rows_kept"]) == (5, 2)
    assert report["rows_dropped"] == {"no_answer": 1, "no_module": 1, "too_long": 1}
    examples = {name: [example["row"] for example in rows] for name, rows in report["dropped_examples"].items()}
    assert examples == {"no_answer": ["row3"], "no_module": ["row5"], "too_long": ["row2"]}
    assert [entry["id"] for entry in read_jsonl(out / "rows.jsonl")] == ["row1", "row4"]
    assert report["length_tokens"]["rendered"]["p100"] > 192 >= report["length_tokens"]["kept"]["p100"]


def test_the_rows_written_are_the_samples_and_their_loss_is_over_the_answers(stage: Stage, base: Path) -> None:
    out = stage.run([GOOD, LONG, AND])
    tokenizer = AutoTokenizer.from_pretrained(base.parent)
    rows = read_token_rows(out / "train.parquet")
    report = stage.report()
    assert report["tokens"] == rows.lengths.sum()
    assert report["answer_tokens"] == (rows.lengths - rows.answer_starts).sum()
    for index, sample in enumerate(read_jsonl(out / "rows.jsonl")):
        ids = rows.row(index)
        assert tokenizer.decode(ids[rows.answer_starts[index] :]) == sample["answer"] + "<turn|>"
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": sample["prompt"]}], add_generation_prompt=True, enable_thinking=False
        )["input_ids"]
        assert ids[: rows.answer_starts[index]].tolist() == prompt


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_result_does_not_depend_on_the_processes(stage: Stage, jobs: int) -> None:
    lines: list[str | bytes] = [GOOD, LONG, NO_ANSWER, AND] * 200
    first = read_token_rows(stage.run(lines) / "train.parquet")
    again = read_token_rows(stage.run(lines, jobs=jobs) / "train.parquet")
    np.testing.assert_array_equal(first.tokens, again.tokens)
    np.testing.assert_array_equal(first.offsets, again.offsets)
    np.testing.assert_array_equal(first.answer_starts, again.answer_starts)


def test_every_filter_counts_what_reaches_it_in_the_order_configured(stage: Stage, tmp_path: Path) -> None:
    problems = tmp_path / "problems"
    problems.mkdir()
    (problems / "Prob001_and_prompt.txt").write_text("And a and b.")
    (problems / "Prob001_and_ref.sv").write_text(OTHER.replace("TopModule", "RefModule"))
    (problems / "Prob001_and_test.sv").write_text("module tb; endmodule")
    counter = "module TopModule(input clk, output reg [7:0] q);\n  always @(posedge clk) q <= q + 8'd1;\nendmodule"
    lines: list[str | bytes] = [GOOD, GOOD, AND, BROKEN, row("Count the clock.", counter), LONG]
    filters = ["no_answer", "no_module", "exact_duplicate", "near_duplicate", "does_not_compile", "overlaps_evaluation"]
    settings = {"near_duplicate_jaccard": 0.8, "overlap_rouge_l": 0.9, "compiler": COMPILER}
    stage.run(lines, problems=problems, filters=[*filters, "too_long"], **settings)
    assert stage.report()["rows_dropped"] == {
        "no_answer": 0, "no_module": 0, "exact_duplicate": 1, "near_duplicate": 0, "does_not_compile": 1,
        "overlaps_evaluation": 1, "too_long": 1,
    }  # fmt: skip
    # Before the duplicates, too_long takes its row; with the compiler first, the broken row is no one's earlier twin.
    stage.run([BROKEN, BROKEN, GOOD, LONG], filters=["no_answer", "no_module", "too_long", "does_not_compile",
              "exact_duplicate"], compiler=COMPILER)  # fmt: skip
    report = stage.report()
    assert list(report["rows_dropped"]) == ["no_answer", "no_module", "too_long", "does_not_compile", "exact_duplicate"]
    assert list(report["rows_dropped"].values()) == [0, 0, 1, 2, 0]
    assert read_token_rows(stage.out / "train.parquet").lengths.sum() == report["tokens"]


def test_max_rows_counts_rows_read(stage: Stage) -> None:
    stage.run([NO_ANSWER, GOOD, GOOD], max_rows=2)
    assert stage.report()["rows_kept"] == 1


BAD: list[tuple[str | bytes, str]] = [
    ("{broken", "not a line of JSON"),
    (json.dumps({"prompt": "p"}), "expected text in 'response', found nothing"),
    (json.dumps({"prompt": 3, "response": "r"}), "expected text in 'prompt', found int"),
    (row("x" * 5_000_000, MODULE), "longer than data.max_row_bytes, 1000000 bytes"),
    (b'{"prompt": "\xff", "response": "r"}', "not UTF-8 (byte 0xff"),
    ('{"prompt": "p", "response": "\\ud83d"}', "'response' holds half a surrogate pair"),
]


@pytest.mark.parametrize(("line", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_a_bad_row_stops_the_stage_with_its_line_and_leaves_what_was_there(
    stage: Stage, line: str | bytes, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.run([GOOD])
    before = {path: path.read_bytes() for path in stage.out.iterdir()}
    with pytest.raises(SystemExit) as exit_info:
        stage.run([GOOD, line, GOOD, line])
    assert exit_info.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert f"rows.jsonl:2: {problem}" in message
    assert "(and 1 more)" in message
    assert "with data.on_bad_row: drop" in message
    assert {path: path.read_bytes() for path in stage.out.iterdir()} == before


def test_bad_rows_may_be_dropped_and_are_counted_and_named(stage: Stage) -> None:
    stage.run([GOOD, *(line for line, _ in BAD), AND], on_bad_row="drop")
    report = stage.report()
    assert (report["rows_kept"], report["bad_rows"]) == (2, len(BAD))
    assert [example["row"] for example in report["bad_row_examples"]] == ["row2", "row3", "row4", "row5", "row6"]
    assert BAD[0][1] in report["bad_row_examples"][0]["why"]


def test_no_row_left_is_one_line_with_the_counts(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        stage.run([NO_ANSWER, LONG])
    assert "none of 2 rows is left (bad rows 0, no_answer 1, no_module 0, too_long 1)" in capsys.readouterr().err
    assert not stage.out.exists()


@pytest.mark.parametrize(
    "change", [{"overlap_rouge_l": 0.5}, {"filters": ["no_answer", "no_module", "near_duplicate"]}]
)
def test_a_filter_and_its_setting_go_together(
    stage: Stage, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        stage.run([GOOD], **change)
    assert "its setting go together" in capsys.readouterr().err


def test_the_batching_file_has_the_same_samples_in_every_mode(stage: Stage) -> None:
    out = stage.run([GOOD, AND, NO_ANSWER, LONG] * 8)
    plan = {
        "samples_per_step": 4, "seed": 0, "rows_per_micro_batch": [1, 2],
        "batching": {"mode": "pack", "row_lengths_tokens": [256, 384], "max_seq_len_tokens": 192},
    }  # fmt: skip
    flags = ["--tokens", str(out / "train.parquet"), "--output", str(out / "batching.json")]
    batching.main(["--settings", json.dumps(plan), *flags])
    result = read_json(out / "batching.json")
    jsonschema.validate(result, json.loads(Path("schemas/results/batching.schema.json").read_text()))
    assert [(p["mode"], p["rows_per_micro_batch"]) for p in result["plans"]] == [
        (mode, rows) for rows in (1, 2) for mode in ("pad", "bucket", "pack")
    ]
    assert result["steps_per_epoch"] == 4
    assert len({p["real_tokens"] for p in result["plans"]}) == 1, "the same samples in every mode"
    held_out = {"held_out_rows": 4}
    batching.main(["--settings", json.dumps(plan | held_out), *flags])
    assert read_json(out / "batching.json").items() >= {"held_out_rows": 4, "steps_per_epoch": 3}.items()
    for entry in result["plans"]:
        assert entry["padded_tokens"] == sum(s["rows"] * s["row_len"] * s["micro_batches"] for s in entry["shapes"])
