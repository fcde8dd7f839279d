"""The made-up results that these tests read have the shape of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.unit import synthetic_run

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas/results"


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        ("train_run", synthetic_run.run_json("tpu", 0)),
        ("bench", synthetic_run.bench_json("tpu")),
        ("score", synthetic_run.score_json("tpu", 0)),
    ],
)
def test_made_up_results_fit_the_schemas_of_real_ones(schema: str, result: dict[str, Any]) -> None:
    jsonschema.validate(result, json.loads((SCHEMAS / f"{schema}.schema.json").read_text()))
