"""The cells of a serving benchmark, one a context and request rate: their settings, names, order and results."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scripts.common.server_settings import ServerSettings

Rate = float | Literal["inf"]


@dataclass(frozen=True)
class Context:
    """Lengths of a request, in tokens."""

    input_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        if self.input_tokens < 1 or self.output_tokens < 1:
            raise ValueError("input_tokens and output_tokens must be positive")


@dataclass(frozen=True)
class BenchSettings:
    """One arm's benchmark; `hardware` is the name of the entry that it serves on, see `bench` in config.yaml."""

    arm: str
    hardware: str
    server: ServerSettings
    contexts: tuple[Context, ...]
    request_rates_per_sec: tuple[Rate, ...]
    prompts_per_cell: int

    def __post_init__(self) -> None:
        for context in self.contexts:
            if context.input_tokens + context.output_tokens > self.server.max_model_len_tokens:
                raise ValueError(
                    f"a context of {context.input_tokens} + {context.output_tokens} tokens does not fit in "
                    f"max_model_len_tokens {self.server.max_model_len_tokens}"
                )
        if self.prompts_per_cell < 1 or any(float(rate) <= 0 for rate in self.request_rates_per_sec):
            raise ValueError("prompts_per_cell and request rates must be positive")


@dataclass(frozen=True)
class Cell:
    """Requests of one context, sent at one rate (a Poisson process; "inf" sends all at once)."""

    input_tokens: int
    output_tokens: int
    request_rate_per_sec: Rate
    prompts: int

    @property
    def name(self) -> str:
        return cell_name(self.input_tokens, self.output_tokens, self.request_rate_per_sec)

    @property
    def seed(self) -> int:
        """The cell's own seed, from its name.

        With one seed for all, cells of one context would send the same prompts, and every cell but the first would
        measure the server's prefix cache instead of prefill.
        """
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4])


def normal_rate(rate: Rate) -> int | float | Literal["inf"]:
    """One spelling for each rate: 2 for 2.0, "inf" for an infinite one."""
    number = float(rate)
    if math.isinf(number):
        return "inf"
    return int(number) if number.is_integer() else number


def cell_name(input_tokens: int, output_tokens: int, rate: Rate) -> str:
    """A cell's name and the stem of its file, such as in64_out32_rate2 or in512_out256_rateinf."""
    return f"in{input_tokens}_out{output_tokens}_rate{normal_rate(rate)}"


def cells_of(settings: BenchSettings) -> Iterator[Cell]:
    """All cells, context by context, in the configuration's order."""
    for context in settings.contexts:
        for rate in settings.request_rates_per_sec:
            yield Cell(context.input_tokens, context.output_tokens, rate, settings.prompts_per_cell)


def cell_result(cell: Cell, raw: Mapping[str, Any], raw_path: str) -> dict[str, Any]:
    """One entry of `cells` in bench/{arm}.json from the JSON that `vllm bench serve` wrote for the cell.

    Throughputs count completed requests over the cell's whole duration, from the first request sent to the last answer.
    """
    return {
        "input_tokens": cell.input_tokens,
        "output_tokens": cell.output_tokens,
        "request_rate_per_sec": normal_rate(cell.request_rate_per_sec),
        "prompts": cell.prompts,
        "completed": raw["completed"],
        "duration_sec": raw["duration"],
        "request_throughput_per_sec": raw["request_throughput"],
        "output_tokens_per_sec": raw["output_throughput"],
        "total_tokens_per_sec": raw["total_token_throughput"],
        **{f"{metric}_ms": latency(raw, metric) for metric in ("ttft", "tpot", "itl")},
        "raw": raw_path,
    }


def latency(raw: Mapping[str, Any], metric: str) -> dict[str, float | None]:
    """Mean, median and 99th percentile of a latency in ms.

    Null where there is none: an answer of one token has no time between tokens, for which vLLM writes 0.
    """
    values = {key: raw.get(f"{key}_{metric}_ms") for key in ("mean", "median", "p99")}
    return {key: value if value and math.isfinite(value) else None for key, value in values.items()}
