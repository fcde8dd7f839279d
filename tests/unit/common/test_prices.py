"""Which of a machine's prices a run pays, and what the same machine costs at the spot price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common.prices import Price, find_price, price_paid, priced, spot_price

HARDWARE = yaml.safe_load((Path(__file__).parents[3] / "resources/hardware.yaml").read_text())


def entry(*prices: tuple[str, float, str | None]) -> dict[str, Any]:
    return {
        "label": "a machine",
        "catalogue": None,
        "prices": [
            {"kind": kind, "per_hour": usd, "currency": "USD", "region": region, "date": None, "source": f"line {line}"}
            for line, (kind, usd, region) in enumerate(prices, start=1)
        ],
    }


MACHINE = entry(
    ("on_demand", 21.52, "asia"), ("on_demand", 21.6, "us"), ("spot", 4.7, "us"), ("spot", 11.7, "asia")
)  # fmt: skip


def cost(kind: str = "on_demand", **regions: str) -> dict[str, Any]:
    return {"price": kind, "regions": regions}


def test_without_a_region_the_first_of_the_kind_is_paid() -> None:
    paid = price_paid(MACHINE, cost(), "m")
    assert paid == {"kind": "on_demand", "usd_per_hour": 21.52, "region": "asia", "date": None, "source": "line 1"}


def test_a_configured_region_chooses_among_the_kind() -> None:
    assert price_paid(MACHINE, cost(m="us"), "m") == find_price(MACHINE, "on_demand", "us")
    assert price_paid(MACHINE, cost("spot", m="asia"), "m") == find_price(MACHINE, "spot", "asia")


@pytest.mark.parametrize(("kind", "regions"), [("commitment_1_year", {}), ("on_demand", {"m": "mars"})])
def test_a_price_that_is_not_listed_is_none(kind: str, regions: dict[str, str]) -> None:
    assert price_paid(MACHINE, cost(kind, **regions), "m") is None


def test_the_spot_price_is_of_the_region_that_is_paid() -> None:
    assert spot_price(MACHINE, cost(), "m") == find_price(MACHINE, "spot", "asia")
    assert spot_price(MACHINE, cost(m="us"), "m") == find_price(MACHINE, "spot", "us")


def test_without_a_region_of_the_price_the_first_spot_price_counts() -> None:
    somewhere = entry(("on_demand", 22.12, None), ("spot", 8.5, "us"))
    assert spot_price(somewhere, cost(), "m") == find_price(somewhere, "spot", "us")
    assert spot_price(entry(("on_demand", 1.0, None)), cost(), "m") is None


def test_other_prices_are_no_setting() -> None:
    """So that a price that is not paid makes nothing stale."""
    assert priced(MACHINE, cost(), "m") == {"label": "a machine", "price": price_paid(MACHINE, cost(), "m")}


def test_the_shipped_prices_begin_with_the_paper_s() -> None:
    paid = {name: price_paid(HARDWARE[name], cost(), name) for name in ("tpu-v5p-8", "tpu-v6e-8", "gpu-2xh100")}
    assert {name: price and price["usd_per_hour"] for name, price in paid.items()} == {
        "tpu-v5p-8": 16.80,
        "tpu-v6e-8": 21.52,
        "gpu-2xh100": 22.12,
    }
    assert all(price and price["source"].startswith("paper, section 2") for price in paid.values())


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_is_above_zero(usd: float) -> None:
    with pytest.raises(ValueError, match=r"^usd_per_hour: expected a price above 0"):
        Price("on_demand", usd, None, None, "nowhere")
