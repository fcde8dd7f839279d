"""Takes the prices of SkyPilot's catalogue into resources/hardware.yaml: on demand and spot, by region.

Prices from anywhere else, the paper's among them, and all comments stay as they are. Without network, or with a
catalogue that is none, the file is not touched.
"""

from __future__ import annotations

import argparse
import datetime
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from scripts.common.config import schema_problems
from scripts.common.errors import UserError, entry_point
from scripts.common.files import write_text
from scripts.cost.catalogue import MachineName, Offer, RegionPrice, believable, machine_prices, read_offers

# SkyPilot 0.14, sky/skylet/constants.py: HOSTED_CATALOG_DIR_URL / CATALOG_SCHEMA_VERSION / gcp/vms.csv.
CATALOGUE_URL = "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8/gcp/vms.csv"
SOURCE = "SkyPilot catalogue"
TIMEOUT_SEC = 60


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hardware", type=Path, default=Path("resources/hardware.yaml"))
    parser.add_argument(
        "--catalogue", default=CATALOGUE_URL, help="URL, or a file that SkyPilot keeps in ~/.sky/catalogs"
    )
    parser.add_argument("--regions", nargs="+", help="regions, in order; default: those that the file names")
    parser.add_argument("--source", help="how the source is called; default: the URL or path")
    parser.add_argument("--date", default=f"read {datetime.datetime.now(datetime.UTC):%Y-%m-%d}")
    return parser.parse_args(argv)


def read_catalogue(location: str) -> str:
    """The text at a URL or in a file; UserError in one line where it cannot be had."""
    if not location.startswith(("http://", "https://")):
        try:
            return Path(location).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{location}: the catalogue cannot be read ({error}); no price was changed") from None
    try:
        answer = requests.get(location, timeout=TIMEOUT_SEC)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise UserError(
            f"{location}: the catalogue cannot be fetched ({error}); no price was changed. With a copy of the file: "
            "--catalogue PATH"
        ) from None
    return answer.text


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


def yaml_with_comments() -> YAML:
    """A reader and writer that keeps comments, order and the style of each line."""
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    yaml = yaml_with_comments()
    hardware = yaml.load(args.hardware.read_text(encoding="utf-8"))
    if problems := schema_problems(hardware, "hardware.schema.json"):
        raise UserError(f"{args.hardware}: {problems[0]}")
    named = [str(price["region"]) for entry in hardware.values() for price in entry["prices"] if price["region"]]
    offers = read_offers(read_catalogue(args.catalogue), args.catalogue)
    origin = {"date": args.date, "source": f"{SOURCE}: {args.source or args.catalogue}"}
    lines = refresh(hardware, offers, list(dict.fromkeys(args.regions or named)), origin)
    if problems := schema_problems(hardware, "hardware.schema.json"):
        raise UserError(f"{args.catalogue}: gives prices that are none: {problems[0]}")
    text = io.StringIO()
    yaml.dump(hardware, text)
    write_text(args.hardware, text.getvalue())
    print("\n".join(lines))


if __name__ == "__main__":
    main()
