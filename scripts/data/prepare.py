"""Filters training rows, renders them as chat turns and writes tokens with an answer-only loss mask."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_manifest, sha256_file, write_json, write_jsonl
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.data.codev import DropReason, Sample, parse_row
from scripts.data.render import Tokenizer, TokenRow, render
from scripts.data.sources import locate, read_rows

# Examples of each reason that the report shows.
EXAMPLES_PER_REASON = 5


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the training tokens; see `data` in config.yaml."""

    source: str
    revision: str | None
    max_rows: int | None
    max_seq_len_tokens: int


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of PrepareSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model (for its tokenizer)")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet to write: id, input_ids, loss_mask")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines to write: id, prompt, answer")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write: counts kept and dropped, lengths")
    return parser.parse_args(argv)


def keep_or_drop(
    tokenizer: Tokenizer, prompt: str, response: str, max_seq_len: int
) -> tuple[Sample, TokenRow] | DropReason:
    """The sample and its tokens, or the first reason to drop the row. Over-long rows are dropped, never truncated."""
    parsed = parse_row(prompt, response)
    if not isinstance(parsed, Sample):
        return parsed
    tokens = render(tokenizer, parsed)
    return (parsed, tokens) if len(tokens.input_ids) <= max_seq_len else "too_long"


def write_tokens(path: Path, ids: list[str], rows: list[TokenRow]) -> None:
    """Parquet with one row a sample, written to a temporary name first."""
    import datasets

    columns: dict[str, Any] = {
        "id": ids,
        "input_ids": [row.input_ids for row in rows],
        "loss_mask": [row.loss_mask for row in rows],
    }
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "input_ids": datasets.List(datasets.Value("int32")),
            "loss_mask": datasets.List(datasets.Value("int8")),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    datasets.Dataset.from_dict(columns, features=features).to_parquet(partial)
    partial.replace(path)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(PrepareSettings, args.settings)
    read_manifest(args.base_model)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.base_model.parent)
    source = locate(settings.source, settings.revision)
    ids: list[str] = []
    samples: list[Sample] = []
    tokens: list[TokenRow] = []
    dropped: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for row_id, prompt, response in tqdm(read_rows(source, settings.max_rows), desc="rows", unit="row"):
        outcome = keep_or_drop(tokenizer, prompt, response, settings.max_seq_len_tokens)
        if isinstance(outcome, str):
            dropped[outcome] += 1
            examples.setdefault(outcome, []).append(row_id)
            continue
        ids.append(row_id)
        samples.append(outcome[0])
        tokens.append(outcome[1])
    if not samples:
        raise UserError(f"{source}: no row is left after the filters (dropped: {dict(dropped)})")
    write_tokens(args.tokens, ids, tokens)
    write_jsonl(args.rows, ({"id": i, **asdict(sample)} for i, sample in zip(ids, samples, strict=True)))
    lengths = sorted(len(row.input_ids) for row in tokens)
    report = {
        "source": settings.source,
        "source_sha256": sha256_file(source),
        "rows_read": len(samples) + dropped.total(),
        "rows_kept": len(samples),
        "rows_dropped": dict(sorted(dropped.items())),
        "dropped_examples": {reason: names[:EXAMPLES_PER_REASON] for reason, names in sorted(examples.items())},
        "length_tokens": {
            "mean": sum(lengths) / len(lengths),
            "p50": lengths[len(lengths) // 2],
            "p99": lengths[len(lengths) * 99 // 100],
            "max": lengths[-1],
        },
        "answer_tokens": sum(sum(row.loss_mask) for row in tokens),
        "provenance": provenance("scripts.data.prepare", asdict(settings), ("datasets", "transformers")),
    }
    write_json(args.report, report)


if __name__ == "__main__":
    main()
