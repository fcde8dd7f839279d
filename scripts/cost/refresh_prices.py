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

import requests
from ruamel.yaml import YAMLError

from scripts.common.config import schema_problems
from scripts.common.errors import UserError, entry_point
from scripts.common.files import write_text
from scripts.cost.catalogue import read_offers
from scripts.cost.price_list import SOURCE, refresh, yaml_with_comments

# SkyPilot 0.14, sky/skylet/constants.py: HOSTED_CATALOG_DIR_URL / CATALOG_SCHEMA_VERSION / gcp/vms.csv.
CATALOGUE_URL = "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8/gcp/vms.csv"
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
        found = error.response
        reason = type(error).__name__ if found is None else f"{found.status_code} {found.reason}"
        raise UserError(
            f"{location}: the catalogue cannot be fetched ({reason}); no price was changed. With a copy of the file: "
            "--catalogue PATH"
        ) from None
    return answer.text


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    yaml = yaml_with_comments()
    try:
        hardware = yaml.load(args.hardware.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise UserError(f"{args.hardware}: cannot be read ({error})") from None
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
