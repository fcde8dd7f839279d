"""resources/hardware.yaml is as strict as the configuration: a mistake is one line with the file and the entry."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.unit.common.configs import HARDWARE, problems


def price(**changes: Any) -> dict[str, Any]:
    """An overlay of the laptop that leaves it one price, changed."""
    return {"prices": [{**HARDWARE["laptop"]["prices"][0], **changes}]}


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (price(per_hour=0), "laptop.prices[0].per_hour: found 0, expected a number above 0"),
        (price(per_hour=-1), "laptop.prices[0].per_hour: found -1, expected a number above 0"),
        (price(per_hour=None), "laptop.prices[0].per_hour: found null, expected a number above 0"),
        (price(per_hour=float("nan")), "laptop.prices[0].per_hour: found nan, expected a number above 0"),
        (
            price(currency="EUR"),
            "laptop.prices[0].currency: found the text 'EUR', expected USD (prices are compared and never converted)",
        ),
        (
            price(kind="preemptible"),
            "laptop.prices[0].kind: found the text 'preemptible', expected one of on_demand, spot",
        ),
        (price(region=""), "laptop.prices[0].region: found the text '', expected text"),
        ({"prices": []}, "laptop.prices: found a list of 0, expected a list that is not empty"),
        ({"kind": "npu"}, "laptop.kind: found the text 'npu', expected one of cpu, gpu, tpu"),
        ({"hbm_gb": 80}, "laptop.hbm_gb: unknown key; did you mean hbm_gib? (accelerator memory a chip;"),
        (price(date=datetime.date(2026, 1, 1)), "laptop.prices[0].date: found 2026-01-01, expected text"),
    ],
)
def test_hardware_mistakes_name_the_file_and_the_entry(entry: dict[str, Any], line: str) -> None:
    (found,) = problems({}, {"laptop": entry})
    assert found.startswith(f"resources/hardware.yaml: {line}")


def test_a_hardware_name_must_fit_a_file_name() -> None:
    (found,) = problems({}, {"a/b": HARDWARE["laptop"]})
    assert found.startswith("resources/hardware.yaml: 'a/b': not a name")
