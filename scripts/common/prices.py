"""The prices of an entry of resources/hardware.yaml, and which of them a run pays.

A price is one entry of the hardware's `prices`: how it is bought (`kind`), what the whole machine costs an hour, the
region it holds for, its date and its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Price:
    """One price of a whole machine [USD/h]; None for a region or a date that its source does not state."""

    kind: str
    usd_per_hour: float
    region: str | None
    date: str | None
    source: str

    def __post_init__(self) -> None:
        if not 0 < self.usd_per_hour < float("inf"):
            raise ValueError(f"usd_per_hour: expected a price above 0 [USD/h], found {self.usd_per_hour}")


def find_price(entry: Mapping[str, Any], kind: str, region: str | None) -> dict[str, Any] | None:
    """The first price of a hardware entry of this `kind` and, unless it is None, this `region`, in Price's form.

    None where there is no such price.
    """
    for price in entry["prices"]:
        if price["kind"] == kind and region in (None, price["region"]):
            return {
                "kind": kind,
                "usd_per_hour": price["per_hour"],
                **{key: price[key] for key in ("region", "date", "source")},
            }
    return None


def price_paid(entry: Mapping[str, Any], cost: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The price that a run pays for hardware `name`: of the configured kind, in the region configured for it."""
    return find_price(entry, cost["price"], cost["regions"].get(name))


def spot_price(entry: Mapping[str, Any], cost: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The price of the same machine where it can be taken away: in the region of the price paid, or the first."""
    paid = price_paid(entry, cost, name)
    beside = find_price(entry, "spot", paid["region"]) if paid and paid["region"] else None
    return beside or find_price(entry, "spot", cost["regions"].get(name))


def priced(entry: Mapping[str, Any], cost: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A hardware entry with the price paid as `price` in place of all its prices, so that no other is a setting."""
    specs = {key: value for key, value in entry.items() if key not in ("prices", "catalogue")}
    return {**specs, "price": price_paid(entry, cost, name)}
