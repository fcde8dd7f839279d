"""The result files that tables, figures and the summary read, by arm and seed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError
from scripts.common.files import read_json
from scripts.common.prices import Price
from scripts.common.spread import Spread, spread


@dataclass(frozen=True)
class Arm:
    """One arm as the configuration has it; a `train_` field is None for an untuned arm."""

    name: str
    label: str
    train_backend: str | None
    train_hardware: str | None
    serve_backend: str
    serve_hardware: str
    tensor_parallel_size: int


@dataclass(frozen=True)
class Hardware:
    """One entry of resources/hardware.yaml with the price that is paid; units as there, None for unknown."""

    label: str
    kind: str
    chips: int
    hbm_gib: float | None
    peak_tflops_bf16: float | None
    memory_bandwidth_gb_per_sec: float | None
    interconnect_gb_per_sec: float | None
    interconnect_links: int | None
    chips_per_host: int | None
    spec_source: str | None
    price: Price


@dataclass(frozen=True)
class Results:
    """Result files by arm name: train/*/run.json and scores/*.json (one a seed, in seed order) and bench/*.json."""

    runs: dict[str, list[dict[str, Any]]]
    benches: dict[str, dict[str, Any]]
    scores: dict[str, list[dict[str, Any]]]

    def of_runs(self, arm: str, quantity: Callable[[dict[str, Any]], float | None]) -> Spread | None:
        """A quantity of an arm's training runs over its seeds; None for an untuned arm."""
        return spread(quantity(run) for run in self.runs[arm])

    def of_scores(self, arm: str, quantity: Callable[[dict[str, Any]], float | None]) -> Spread | None:
        """A quantity of an arm's scores over its seeds."""
        return spread(quantity(score) for score in self.scores[arm])


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that `load_results` reads."""
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run.json of each trained arm and seed")
    parser.add_argument("--benches", nargs="+", type=Path, required=True, help="bench.json of each arm")
    parser.add_argument("--scores", nargs="+", type=Path, required=True, help="scores of each arm and seed")


def load_results(args: argparse.Namespace, arms: Sequence[Arm]) -> Results:
    """The files of `args`, checked to cover every arm. Raises UserError naming the arm whose results are missing."""
    benches = {bench["arm"]: bench for bench in map(read_json, args.benches)}
    results = Results(_by_arm(args.runs, arms), benches, _by_arm(args.scores, arms))
    for arm in arms:
        if arm.name not in benches:
            raise UserError(f"arm {arm.name}: none of the files of --benches is of this arm")
        if not results.scores[arm.name]:
            raise UserError(f"arm {arm.name}: none of the files of --scores is of this arm")
        if bool(results.runs[arm.name]) != (arm.train_backend is not None):
            raise UserError(
                f"arm {arm.name}: found {len(results.runs[arm.name])} training runs, "
                f"its training backend is {arm.train_backend}"
            )
    return results


def _by_arm(paths: Sequence[Path], arms: Sequence[Arm]) -> dict[str, list[dict[str, Any]]]:
    entries = sorted((read_json(path) for path in paths), key=lambda entry: entry["seed"])
    return {arm.name: [entry for entry in entries if entry["arm"] == arm.name] for arm in arms}


def contexts_of(benches: dict[str, dict[str, Any]]) -> list[tuple[int, int]]:
    """(input tokens, output tokens) of every context that any arm was measured at, shortest first."""
    return sorted(
        {(cell["input_tokens"], cell["output_tokens"]) for bench in benches.values() for cell in bench["cells"]}
    )


def rates_of(benches: dict[str, dict[str, Any]]) -> list[float | str]:
    """Every request rate that any arm was measured at, in requests a second, `inf` last."""
    rates = {cell["request_rate_per_sec"] for bench in benches.values() for cell in bench["cells"]}
    return sorted(rates, key=float)


def cell_at(bench: dict[str, Any], context: tuple[int, int], rate: float | str) -> dict[str, Any] | None:
    """The cell of one context and rate, or None where it was not measured."""
    return next(
        (
            cell
            for cell in bench["cells"]
            if (cell["input_tokens"], cell["output_tokens"]) == context and cell["request_rate_per_sec"] == rate
        ),
        None,
    )


def context_label(context: tuple[int, int]) -> str:
    return f"{context[0]:,} in / {context[1]:,} out"


def rate_label(rate: float | str) -> str:
    return "all at once" if rate == "inf" else f"{rate:g} requests/s"
