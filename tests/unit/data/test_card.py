"""The data card says what the report and the batches say, in tables that any row's text leaves whole."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scripts.data import card
from tests.unit.synthetic_run import data_report_json

REPORT = data_report_json()

BATCHING: dict[str, Any] = {
    "mode": "pack",
    "samples_per_step": 8,
    "held_out_rows": 0,
    "steps_per_epoch": 195,
    "plans": [
        {
            "mode": "pack", "rows_per_micro_batch": 1, "real_tokens": 90, "padded_tokens": 100,
            "real_token_share": 0.9, "micro_batches_per_step": 1.02,
            "shapes": [{"rows": 1, "row_len": 768, "micro_batches": 199}],
        }
    ],
    "provenance": {},
}  # fmt: skip


def schema(name: str) -> Any:
    return json.loads(Path(f"schemas/results/{name}.schema.json").read_text())


@pytest.fixture
def text(tmp_path: Path) -> str:
    jsonschema.validate(REPORT, schema("data_report"))
    jsonschema.validate(BATCHING, schema("batching"))
    for name, value in (("report", REPORT), ("batching", BATCHING)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    output = tmp_path / "card.md"
    card.main(
        [
            "--report",
            str(tmp_path / "report.json"),
            "--batching",
            str(tmp_path / "batching.json"),
            "--output",
            str(output),
        ]
    )
    return output.read_text()


@pytest.mark.parametrize(
    "words",
    ["`cc-by-sa-4.0`", "c" * 40, "a" * 64, "635,616 bytes", "1,602", "1,500", "row9: `257 tokens`", "94.16%", "90.0%",
     "195 optimizer steps of 8 samples", "training uses `pack`", "12 of 1,500 rows would have other tokens, 3 another",
     "row3: `not UTF-8`", "55,834"],
)  # fmt: skip
def test_what_is_in_the_reports_is_in_the_card(text: str, words: str) -> None:
    assert words in text


def test_a_rows_text_breaks_no_table(text: str) -> None:
    (line,) = [line for line in text.splitlines() if "row7" in line]
    assert line.replace("\\|", "").count("|") == 4
    assert "`ends in '\\|x\\| 'y' '`" in line


def test_every_filter_is_explained() -> None:
    config = schema_of_config()["properties"]["data"]["properties"]["filters"]["items"]["enum"]
    assert set(config) == set(card.MEANINGS)


def schema_of_config() -> Any:
    return json.loads(Path("schemas/config.schema.json").read_text())


def test_held_out_rows_are_said() -> None:
    assert "held out" not in card.card(REPORT, BATCHING)
    assert "64 of the kept rows are held out of it" in card.card(REPORT, BATCHING | {"held_out_rows": 64})
