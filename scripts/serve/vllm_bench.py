"""`vllm bench serve`, run within this process: vLLM's own parser, client and result file, imported once for all cells.

Importing it takes 10 to 20 s, more than most cells of a small model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser

from scripts.common.model_server import Server
from scripts.serve.cells import Cell


def run_cell(cell: Cell, server: Server, tokenizer: Path, result: Path) -> None:
    """Benchmarks one cell; vLLM writes its JSON, with every request's times, to `result`."""
    main(parse(bench_arguments(cell, server.base_url.removesuffix("/v1"), server.model_name, tokenizer, result)))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = FlexibleArgumentParser(prog="vllm bench serve")
    add_cli_args(parser)
    parsed: argparse.Namespace = parser.parse_args(arguments)
    return parsed


def bench_arguments(cell: Cell, url: str, model_name: str, tokenizer: Path, result: Path) -> list[str]:
    """The arguments of `vllm bench serve` for one cell.

    Section 8.1 of the paper: random dataset, temperature 0. All lengths are the cell's (range ratio 0, end of sequence
    ignored); a prompt of random tokens may come out a token longer or shorter when the server tokenises its text.
    """
    return [
        "--backend", "openai",
        "--base-url", url,
        "--endpoint", "/v1/completions",
        "--model", model_name,
        "--served-model-name", model_name,
        "--tokenizer", str(tokenizer),
        "--dataset-name", "random",
        "--random-input-len", str(cell.input_tokens),
        "--random-output-len", str(cell.output_tokens),
        "--random-range-ratio", "0",
        "--ignore-eos",
        "--temperature", "0",
        "--num-prompts", str(cell.prompts),
        "--request-rate", str(cell.request_rate_per_sec),
        "--seed", str(cell.seed),
        "--percentile-metrics", "ttft,tpot,itl,e2el",
        "--metric-percentiles", "50,90,99",
        "--disable-tqdm",
        "--save-result", "--save-detailed",
        "--result-dir", str(result.parent),
        "--result-filename", result.name,
    ]  # fmt: skip
