"""Recomputes every number and claim of the paper and writes a verdict for each: audit.json, audit.md and audit.html."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.audit.formulas import Formulas
from scripts.audit.pages import full_markdown, page_html, summary_markdown
from scripts.audit.published import load_published
from scripts.audit.record import audit_record
from scripts.audit.verdicts import audit
from scripts.common.errors import entry_point
from scripts.common.files import read_json, write_json, write_text
from scripts.common.gemma4_shapes import gemma4_shapes
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings


@dataclass(frozen=True)
class Settings:
    """Hardware entries by name: what formulas read of resources/hardware.yaml, None for unknown."""

    hardware: dict[str, dict[str, float | None]]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="hardware entries as JSON")
    parser.add_argument("--published", type=Path, required=True, help="published.yaml, beside the files that it names")
    parser.add_argument("--model-config", type=Path, required=True, help="config.json of the paper's model")
    parser.add_argument("--output-dir", type=Path, required=True)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(Settings, args.settings)
    published = load_published(args.published)
    config = read_json(args.model_config)
    formulas = Formulas(settings.hardware, gemma4_shapes(config), config.get("text_config", config))
    record = audit_record(published, audit(published, formulas.functions), formulas.functions)
    folder: Path = args.output_dir
    write_text(folder / "audit.md", full_markdown(record))
    write_text(folder / "summary.md", summary_markdown(record))
    write_text(folder / "audit.html", page_html(record))
    origin = provenance("scripts.audit.audit", json.loads(args.settings), ("pint", "simpleeval"))
    write_json(folder / "audit.json", {**record, "provenance": origin})
    print("; ".join(f"{verdict}: {count}" for verdict, count in record["summary"].items()))


if __name__ == "__main__":
    main()
