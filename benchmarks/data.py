"""The data stage on 87,321 rows of the paper's lengths, beside the straightforward way: one row at a time, its segments
tokenised apart. Rows a second and peak memory of both, in one run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from benchmarks.code_rows import CodeText, corpus_texts, gemma_like_tokenizer, rows
from benchmarks.measure import measure
from scripts.common.batching import MODES, BatchingSettings, plan_batches, sample_order
from scripts.common.errors import entry_point
from scripts.common.files import write_json, write_manifest
from scripts.common.token_rows import read_token_rows
from scripts.data.codev import Sample, parse_row
from scripts.data.segments import render_apart

CODEV_ROWS = 87_321
MAX_SEQ_LEN = 3072
SAMPLES_PER_STEP = 8
SETTINGS: dict[str, Any] = {
    "max_rows": None, "max_row_bytes": 4_000_000, "on_bad_row": "drop",
    "filters": ["no_answer", "no_module", "too_long"], "near_duplicate_jaccard": None, "overlap_rouge_l": None,
    "compiler": None, "max_seq_len_tokens": MAX_SEQ_LEN, "chat": {"template": "model", "system_prompt": None},
}  # fmt: skip


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=CODEV_ROWS, help=f"rows to prepare (default {CODEV_ROWS})")
    parser.add_argument("--straightforward", type=Path, help="only the other way, on the rows in this folder")
    parser.add_argument("--jobs", type=int, default=2, help="processes of the data stage (default 2)")
    parser.add_argument("--vocabulary", type=int, default=32_768, help="tokens of the tokenizer (default 32768)")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/data.json"))
    return parser.parse_args(argv)


def make_world(folder: Path, count: int, vocabulary: int) -> None:
    """The tokenizer as a base model's folder, and the rows as a source's, each with its manifest."""
    tokenizer = gemma_like_tokenizer(vocabulary)
    tokenizer.save_pretrained(folder / "base")
    write_manifest(folder / "base")
    sample = CodeText(corpus_texts()[1], 3).words(50_000)
    words_per_token = 50_000 / len(tokenizer.encode(sample, add_special_tokens=False))
    (folder / "source").mkdir()
    with open(folder / "source/rows.jsonl", "w", encoding="utf-8") as handle:
        for row in rows(count, words_per_token):
            handle.write(json.dumps(row) + "\n")
    origin = {"source": "synthetic", "revision": None, "commit": None, "licence": None, "rows_file": "rows.jsonl"}
    write_manifest(folder / "source", origin)


def straightforward(folder: Path, count: int) -> None:
    """`datasets`, one row at a time, its segments tokenised apart (paper, section 3.8), to Parquet."""
    import datasets

    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    source = str(folder / "source/rows.jsonl")
    cache = str(folder / "cache")
    rows = datasets.load_dataset("json", data_files=source, split=f"train[:{count}]", cache_dir=cache)

    def tokenize(row: dict[str, Any]) -> dict[str, list[int]]:
        sample = parse_row("row", row["prompt"], row["response"])
        if not isinstance(sample, Sample):
            return {"input_ids": [], "loss_mask": []}
        tokens = render_apart(tokenizer, sample)
        length, start = len(tokens.input_ids), tokens.answer_start
        return {"input_ids": tokens.input_ids.tolist(), "loss_mask": [0] * start + [1] * (length - start)}

    rows = rows.map(tokenize, remove_columns=rows.column_names)
    rows = rows.filter(lambda row: 0 < len(row["input_ids"]) <= MAX_SEQ_LEN)
    rows.to_parquet(folder / "straightforward.parquet")


def data_stage_command(folder: Path, jobs: int) -> list[str]:
    out = folder / "out"
    return [
        sys.executable, "-m", "scripts.data.prepare", "--settings", json.dumps(SETTINGS),
        "--source", str(folder / "source/manifest.json"), "--base-model", str(folder / "base/manifest.json"),
        "--state", str(folder / "state"), "--jobs", str(jobs), "--tokens", str(out / "train.parquet"),
        "--rows", str(out / "rows.jsonl"), "--report", str(out / "report.json"),
    ]  # fmt: skip


def measured(command: list[str], count: int) -> dict[str, float]:
    return {"rows": count, "rows_per_sec": count / (result := measure(command)).seconds, **asdict(result)}


def batch_shares(tokens: Path) -> dict[str, dict[str, float]]:
    """Of each mode with its default row lengths and one row a micro-batch: real tokens, shapes, seconds to plan."""
    lengths = read_token_rows(tokens).lengths
    order = sample_order(len(lengths), 1, SAMPLES_PER_STEP, seed=0)
    shares: dict[str, dict[str, float]] = {}
    for mode in MODES:
        started = time.perf_counter()
        plan = plan_batches(lengths, order, BatchingSettings(mode, None, MAX_SEQ_LEN), 1)
        shares[mode] = {
            "real_token_share": float(plan.real_tokens_per_step(lengths).sum() / plan.padded_tokens_per_step.sum()),
            "steps": len(plan.steps),
            "shapes": len(plan.shapes()),
            "plan_seconds": time.perf_counter() - started,
        }
    return shares


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if args.straightforward:
        straightforward(args.straightforward, args.rows)
        return
    with tempfile.TemporaryDirectory(prefix="bench-data-") as name:
        folder = Path(name)
        make_world(folder, args.rows, args.vocabulary)
        other = [sys.executable, "-m", "benchmarks.data", "--straightforward", name, "--rows", str(args.rows)]
        slow = measured(other, args.rows)
        fast = measured(data_stage_command(folder, args.jobs), args.rows)
        lengths = read_token_rows(folder / "out/train.parquet").lengths
        result = {
            "straightforward": slow,
            "data_stage": fast,
            "speedup": fast["rows_per_sec"] / slow["rows_per_sec"],
            "length_tokens": {"mean": float(lengths.mean()), "p99": float(np.percentile(lengths, 99))},
            "batching": batch_shares(folder / "out/train.parquet"),
        }
    write_json(args.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
