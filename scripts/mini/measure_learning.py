"""Measures what LoRA teaches the mini model: problems solved before and after, by PEFT in plain PyTorch.

A check of the mini world by itself, beside the workflow: 2 epochs of the corpus, 5 answers a problem at temperature 0.8
and top_p 0.95, simulated with Icarus Verilog.

    python -m scripts.mini.measure_learning --seeds 0 1 2 --output learning.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Gemma4ForConditionalGeneration

from scripts.common.errors import entry_point
from scripts.common.files import write_json
from scripts.mini.learning import evaluate, training_rows, tune


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mini", type=Path, default=Path("resources/mini"), help="folder of model, corpus.jsonl and problems"
    )
    parser.add_argument("--model", type=Path, help="another folder of the model")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--peak-learning-rate", type=float, default=2e-3)
    parser.add_argument("--max-seq-len-tokens", type=int, default=192)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    folder = args.model or args.mini / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = training_rows(tokenizer, args.mini / "corpus.jsonl", args.max_seq_len_tokens)
    results: dict[str, Any] = {"rows": len(rows), "seeds": {}}
    for seed in args.seeds:
        model = Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        base = evaluate(model, tokenizer, args.mini / "problems", seed)
        start = time.monotonic()
        tuned_model = tune(model, rows, seed, args.epochs, args.peak_learning_rate)
        train_sec = time.monotonic() - start
        tuned = evaluate(tuned_model, tokenizer, args.mini / "problems", seed)
        results["seeds"][seed] = {"train_sec": train_sec, "base": base, "tuned": tuned}
        shown = {
            name: {key: value[key] for key in ("samples_passed", "problems_solved")}
            for name, value in (("base", base), ("tuned", tuned))
        }
        print(f"seed {seed}: {json.dumps(shown)}, {base['samples']} samples, trained in {train_sec:.0f} s", flush=True)
    write_json(args.output, results)


if __name__ == "__main__":
    main()
