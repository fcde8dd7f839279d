"""The catalogue's prices in the text of resources/hardware.yaml, whose other lines and comments stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from scripts.common.errors import UserError
from scripts.cost.catalogue import MachineName, Offer, RegionPrice, believable, machine_prices

# How the source of a price that came from there begins.
SOURCE = "SkyPilot catalogue"


def yaml_with_comments() -> YAML:
    """A reader and writer that keeps comments, order and the style of each line."""
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def refreshed(
    entry: CommentedMap, found: Sequence[RegionPrice], regions: Sequence[str], origin: dict[str, str]
) -> list[Any]:
    """The prices of an entry: those of other sources as they are, then the catalogue's, in the order of `regions`."""
    kept = [price for price in entry["prices"] if not str(price["source"]).startswith(SOURCE)]
    for kind in ("on_demand", "spot"):
        for price in sorted((p for p in found if p.region in regions), key=lambda p: regions.index(p.region)):
            amount = price.on_demand if kind == "on_demand" else price.spot
            if amount is not None:
                line = CommentedMap(kind=kind, per_hour=amount, currency="USD", region=price.region, **origin)
                line.fa.set_flow_style()
                kept.append(line)
    return kept


def refresh(
    hardware: CommentedMap, offers: Sequence[Offer], regions: Sequence[str], origin: dict[str, str]
) -> list[str]:
    """Puts the catalogue's prices into each entry that names a machine there; a line of report for each."""
    believed, lines = believable(offers), []
    for name, entry in hardware.items():
        if entry["catalogue"] is None:
            continue
        machine = MachineName(**entry["catalogue"])
        found = machine_prices(believed, machine)
        if not found:
            raise UserError(
                f"{name}: the catalogue has no believable price of {machine}; correct its `catalogue` entry"
            )
        left_out = {price.region for price in machine_prices(_as_listed(offers), machine)} - {p.region for p in found}
        prices = refreshed(entry, found, regions, origin)
        if not prices:
            known = ", ".join(price.region for price in found)
            raise UserError(f"{name}: no price of {machine} in {', '.join(regions)}; the catalogue has {known}")
        entry["prices"][:] = prices
        lines.append(
            f"{name}: {machine} in {len({price.region for price in found} & set(regions))} of {len(found)} regions"
            + (
                f"; not believed (a placeholder, or spot above on demand): {', '.join(sorted(left_out))}"
                if left_out
                else ""
            )
        )
    return lines


def _as_listed(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.on_demand is not None]
