"""Prices of a machine in SkyPilot's catalogue of Google Cloud (catalogs/VERSION/gcp/vms.csv), and which to believe.

A row is a host machine (`InstanceType`) or accelerators (`AcceleratorName`, `AcceleratorCount`) in one zone; a GPU
machine is billed as the sum of both, a TPU slice as its accelerator row alone. The catalogue is made by a program and
holds amounts that are no prices; `believable` says which are left out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.common.errors import UserError

COLUMNS = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Region", "AvailabilityZone", "Price", "SpotPrice")


@dataclass(frozen=True)
class Offer:
    """One row: a host machine or `count` accelerators in a zone [USD/h]; None for an amount that is no price."""

    name: str
    count: float
    region: str
    zone: str
    on_demand: float | None
    spot: float | None


@dataclass(frozen=True)
class MachineName:
    """How the catalogue calls a machine: its host, its accelerators or both."""

    instance_type: str | None
    accelerator: str | None
    accelerator_count: int | None

    def __str__(self) -> str:
        return " + ".join(part for part in (self.instance_type, self.accelerator) if part)


@dataclass(frozen=True)
class RegionPrice:
    """What the whole machine costs in a region [USD/h]; `spot` is None where it is not offered there."""

    region: str
    on_demand: float
    spot: float | None


def read_offers(text: str, source: str) -> list[Offer]:
    """The rows of the CSV `text`. Raises UserError, naming `source`, for another layout or a number that is none."""
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"{source}: not SkyPilot's catalogue: its first line has no column {', '.join(missing)}")
    return [_offer(row, f"{source}:{reader.line_num}") for row in reader]


def _offer(row: dict[str, str], place: str) -> Offer:
    try:
        if None in row.values():
            raise ValueError("too few fields")
        count, on_demand, spot = (float(row[key] or 0) for key in ("AcceleratorCount", "Price", "SpotPrice"))
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: not a row of SkyPilot's catalogue ({error})") from None
    name = row["InstanceType"] or row["AcceleratorName"]
    return Offer(name, count, row["Region"], row["AvailabilityZone"], _amount(on_demand), _amount(spot))


def _amount(value: float) -> float | None:
    return value if 0 < value < float("inf") else None


def believable(offers: Sequence[Offer]) -> list[Offer]:
    """The offers without amounts that cannot be prices.

    An amount that slices of several sizes share in one region is a placeholder. An on-demand amount that is not above
    the spot amount beside it is some other price (of a commitment, as a rule); the same amount for the same machine is
    then not believed in any other region either.
    """
    sizes: dict[tuple[str, str, float], set[str]] = {}
    for offer in offers:
        for amount in (offer.on_demand, offer.spot):
            if amount is not None:
                sizes.setdefault((_family(offer.name), offer.region, amount), set()).add(offer.name)

    def real(offer: Offer, amount: float | None) -> float | None:
        shared = amount is not None and len(sizes[_family(offer.name), offer.region, amount]) > 1
        return None if shared else amount

    cleaned = [Offer(o.name, o.count, o.region, o.zone, real(o, o.on_demand), real(o, o.spot)) for o in offers]
    refuted = {
        (offer.name, offer.count, offer.on_demand)
        for offer in cleaned
        if offer.on_demand is not None and offer.spot is not None and offer.spot >= offer.on_demand
    }
    return [
        offer
        for offer in cleaned
        if offer.on_demand is not None and (offer.name, offer.count, offer.on_demand) not in refuted
    ]


def _family(name: str) -> str:
    """`tpu-v6e` of tpu-v6e-8: what slices of all sizes share. Machines and GPUs are families of their own."""
    return re.sub(r"-\d+$", "", name) if name.startswith("tpu-") else name


def machine_prices(offers: Sequence[Offer], machine: MachineName) -> list[RegionPrice]:
    """The machine's price in each region that has all of its parts, by region; of several zones the cheapest."""
    parts = [
        [offer for offer in offers if offer.name == name and offer.count == count] for name, count in _parts(machine)
    ]
    prices: dict[str, RegionPrice] = {}
    for first in parts[0]:
        others = [next((o for o in part if o.zone == first.zone), None) for part in parts[1:]]
        whole = [first, *(offer for offer in others if offer is not None)]
        if len(whole) < len(parts):
            continue
        on_demand = sum(offer.on_demand or 0.0 for offer in whole)
        spots = [offer.spot for offer in whole]
        spot = None if None in spots else sum(amount or 0.0 for amount in spots)
        price = RegionPrice(first.region, round(on_demand, 5), None if spot is None else round(spot, 5))
        known = prices.get(first.region)
        if known is None or price.on_demand < known.on_demand:
            prices[first.region] = price
    return [prices[region] for region in sorted(prices)]


def _parts(machine: MachineName) -> Iterator[tuple[str, float]]:
    if machine.instance_type:
        yield machine.instance_type, 0.0
    if machine.accelerator:
        yield machine.accelerator, float(machine.accelerator_count or 1)
