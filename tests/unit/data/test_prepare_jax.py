"""The data stage as a command: counts that add up, clear errors, nothing half-written."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from scripts.common.files import read_json, read_jsonl
from scripts.data import base_model, prepare

MODULE = "module TopModule(input a, output y);\n  assign y = ~a;\nendmodule"
GOOD = {"prompt": "Invert a.", "response": f"<think>x</think><answer>```verilog\n{MODULE}\n```</answer>"}
LONG = {"prompt": "Invert a. " * 200, "response": GOOD["response"]}
NO_ANSWER = {"prompt": "Invert a.", "response": "No."}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest = tmp_path_factory.mktemp("base") / "manifest.json"
    base_model.main(
        ["--settings", json.dumps({"source": "resources/mini/model", "revision": None}), "--output", str(manifest)]
    )
    return manifest


def run(folder: Path, base: Path, lines: list[str], **settings: Any) -> Path:
    source = folder / "rows.jsonl"
    source.write_text("\n".join(lines) + "\n")
    chosen = {"source": str(source), "revision": None, "max_rows": None, "max_seq_len_tokens": 192, **settings}
    out = folder / "out"
    prepare.main(
        ["--settings", json.dumps(chosen), "--base-model", str(base), "--tokens", str(out / "train.parquet"),
         "--rows", str(out / "rows.jsonl"), "--report", str(out / "report.json")]
    )  # fmt: skip
    return out


def test_kept_and_dropped_add_up_to_the_rows_read(tmp_path: Path, base: Path) -> None:
    out = run(tmp_path, base, [json.dumps(row) for row in (GOOD, LONG, NO_ANSWER, GOOD)])
    report = read_json(out / "report.json")
    assert report["rows_read"] == 4
    assert report["rows_kept"] == 2
    assert report["rows_dropped"] == {"no_answer": 1, "too_long": 1}
    assert report["dropped_examples"] == {"no_answer": ["row3"], "too_long": ["row2"]}
    assert [row["id"] for row in read_jsonl(out / "rows.jsonl")] == ["row1", "row4"]
    table = pyarrow.parquet.read_table(out / "train.parquet")
    assert table["id"].to_pylist() == ["row1", "row4"]
    assert all(
        len(ids) == len(mask)
        for ids, mask in zip(*(table[c].to_pylist() for c in ("input_ids", "loss_mask")), strict=True)
    )
    assert report["answer_tokens"] == sum(map(sum, table["loss_mask"].to_pylist()))


def test_max_rows_counts_rows_read(tmp_path: Path, base: Path) -> None:
    out = run(tmp_path, base, [json.dumps(row) for row in (NO_ANSWER, GOOD, GOOD)], max_rows=2)
    assert read_json(out / "report.json")["rows_kept"] == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([json.dumps(GOOD), "{broken"], "rows.jsonl:2: not a line of JSON"),
        ([json.dumps(GOOD), json.dumps({"prompt": "p"})], "rows.jsonl:2: expected text in 'response', found nothing"),
        ([json.dumps({"prompt": 3, "response": "r"})], "rows.jsonl:1: expected text in 'prompt', found int"),
        ([json.dumps(NO_ANSWER)], "no row is left after the filters"),
    ],
)
def test_a_bad_row_is_one_line_and_leaves_nothing(
    tmp_path: Path, base: Path, lines: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run(tmp_path, base, lines)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [("./nowhere", "neither a folder nor"), ("tests", "neither a folder"), ("docs", "neither")],
)
def test_a_base_model_that_is_not_there_is_one_line(
    tmp_path: Path, source: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source if source.startswith(".") else f"{source}-missing"
    with pytest.raises(SystemExit):
        base_model.main(
            [
                "--settings",
                json.dumps({"source": source, "revision": None}),
                "--output",
                str(tmp_path / "m/manifest.json"),
            ]
        )
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m/manifest.json").exists()


def test_a_folder_without_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SystemExit):
        base_model.main(
            [
                "--settings",
                json.dumps({"source": str(tmp_path), "revision": None}),
                "--output",
                str(tmp_path / "m/m.json"),
            ]
        )
    assert "no .safetensors" in capsys.readouterr().err
