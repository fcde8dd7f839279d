"""A made-up run in the shapes of the real result files, for tests of what reads them. No number here was measured."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

HOST = {"system": "Linux", "processor": "Imaginary CPU", "cpu_count": 2, "memory_bytes": 1}
CONTEXTS = ((64, 32), (256, 32))
RATES = (2, 8, "inf")
HARDWARE = {
    "laptop": {
        "label": "CPU, 2 cores",
        "kind": "cpu",
        "chips": 1,
        "hbm_gib": None,
        "peak_tflops_bf16": None,
        "memory_bandwidth_gb_per_sec": None,
        "interconnect_gb_per_sec": None,
        "interconnect_links": None,
        "chips_per_host": 1,
        "spec_source": None,
        "price": {"kind": "on_demand", "usd_per_hour": 0.067, "region": None, "date": None, "source": "made up"},
    },
    "slice": {
        "label": "TPU slice",
        "kind": "tpu",
        "chips": 4,
        "hbm_gib": 95.7,
        "peak_tflops_bf16": 459,
        "memory_bandwidth_gb_per_sec": 2765,
        "interconnect_gb_per_sec": 600,
        "interconnect_links": 6,
        "chips_per_host": 4,
        "spec_source": None,
        "price": {
            "kind": "on_demand",
            "usd_per_hour": 16.8,
            "region": "us-east5",
            "date": "2026-01-01",
            "source": "made up",
        },
    },
}
RESAMPLING = {"level": 0.95, "resamples": 500, "seed": 0}
ARMS: tuple[dict[str, Any], ...] = (
    {"name": "base", "label": "base (untuned)", "train": None},
    {"name": "tpu", "label": "Tunix (JAX)", "train": "tunix"},
    {"name": "gpu", "label": "TRL (PyTorch)", "train": "trl"},
)


def provenance(module: str) -> dict[str, Any]:
    return {
        "module": module,
        "code_sha256": "c0de" * 4,
        "settings_sha256": "5e77" * 4,
        "settings": {},
        "commit": "0123456789abcdef",
        "python": "3.11.7",
        "versions": {},
        "host": HOST,
    }


def data_report_json() -> dict[str, Any]:
    """The data stage's report on 1,602 rows."""
    percentiles = {"p50": 73, "p75": 95, "p90": 114, "p95": 128, "p99": 145, "p99.5": 145, "p100": 145}
    return {
        "source": {
            "source": "owner/data:rows.jsonl", "revision": "main", "commit": "c" * 40, "licence": "cc-by-sa-4.0",
            "rows_file": "rows.jsonl", "size_bytes": 635_616, "sha256": "a" * 64,
        },
        "chat": {"template": "model", "system_prompt": None},
        "rows_read": 1602,
        "rows_kept": 1500,
        "rows_dropped": {"no_answer": 60, "too_long": 41},
        "dropped_examples": {
            "no_answer": [{"row": "row7", "why": "ends in '|x| `y`\n'"}],
            "too_long": [{"row": "row9", "why": "257 tokens"}],
        },
        "bad_rows": 1,
        "bad_row_examples": [{"row": "row3", "why": "not UTF-8"}],
        "length_tokens": {"rendered": {"mean": 82.3, **percentiles}, "kept": {"mean": 80.8, **percentiles}},
        "length_histogram": {"bin_tokens": 8, "rows": [0, 3, 1598]},
        "kept_share_by_max_seq_len": [{"max_seq_len_tokens": 128, "kept_share": 0.9416}],
        "tokens": 126_047,
        "answer_tokens": 55_834,
        "segments_tokenised_apart": {"rows": 1500, "rows_with_other_tokens": 12, "rows_with_other_mask": 3},
        "provenance": {**provenance("scripts.data.prepare"), "settings": {"max_seq_len_tokens": 192}},
    }  # fmt: skip


def run_json(arm: str, seed: int, hardware: str = "laptop", speed: float = 1.0) -> dict[str, Any]:
    """One training run of 120 + seed seconds, divided by `speed`."""
    return {
        "arm": arm,
        "seed": seed,
        "backend": "tunix",
        "hardware": hardware,
        "optimizer_steps": 300,
        "samples": 2400,
        "real_tokens": 240_000,
        "padded_tokens": 460_800,
        "wall_clock_sec": (120.0 + seed) / speed,
        "start_sec": 10.0 / speed,
        "batching": "pack",
        "new_shapes_sec": 10.0 / speed,
        "timed_sec": (100.0 + seed) / speed,
        "timed_samples": 2392,
        "timed_real_tokens": 239_200,
        "timed_padded_tokens": 459_264,
        "compile_sec": 8.0 / speed,
        "train_sec": (100.0 + seed) / speed,
        "held_out_sec": 0.0,
        "save_sec": 2.0 / speed,
        "final_loss": 0.25 + 0.01 * seed,
        "final_sequence_loss": 1.25 + 0.01 * seed,
        "mfu": {
            "mfu": None,
            "formula": "FLOPs / peak",
            "timed_model_flops": 1e12,
            "model_flops_per_sec": 1e10,
            "chips": 1,
            "peak_tflops_a_chip": None,
            "peak_source": None,
        },
        "lora_parameters": 123_456,
        "provenance": provenance("scripts.train.train_tunix"),
    }


def metrics_rows(steps: int, seed: int) -> list[dict[str, Any]]:
    noise = random.Random(seed)
    return [
        {
            "step": step,
            "loss": 0.2 + 2.5 * math.exp(-step / 60) + 0.1 * noise.random(),
            "learning_rate": 0.001,
            "real_tokens": 800 * step,
            "padded_tokens": 1536 * step,
            "elapsed_sec": 0.3 * step,
        }
        for step in range(1, steps + 1)
    ]


def bench_json(
    arm: str,
    hardware: str = "laptop",
    speed: float = 1.0,
    contexts: tuple[tuple[int, int], ...] = CONTEXTS,
    rates: tuple[float | str, ...] = RATES,
) -> dict[str, Any]:
    """A server that saturates: throughput levels off and the time to first token grows with the rate."""
    cells = []
    for input_tokens, output_tokens in contexts:
        for rate in rates:
            load = min(float(rate), 100.0)
            throughput = speed * 400 * load / (load + 3) * 300 / (300 + input_tokens)
            quantiles = {"mean": 20.0, "median": 18.0, "p99": 40.0}
            cells.append(
                {
                    "input_tokens": input_tokens,
                    "output_tokens": output_tokens,
                    "request_rate_per_sec": rate,
                    "prompts": 12,
                    "completed": 12,
                    "duration_sec": 12 / min(load, 5.0) + 0.8,
                    "request_throughput_per_sec": throughput / output_tokens,
                    "output_tokens_per_sec": throughput,
                    "total_tokens_per_sec": throughput * (input_tokens + output_tokens) / output_tokens,
                    "ttft_ms": {key: value * load**0.8 / speed for key, value in quantiles.items()},
                    "tpot_ms": quantiles,
                    "itl_ms": quantiles,
                    "raw": f"bench/{arm}/raw/in{input_tokens}_out{output_tokens}_rate{rate}.json",
                }
            )
    return {
        "arm": arm,
        "hardware": hardware,
        "backend": "native",
        "tensor_parallel_size": 1,
        "server": {"startup_sec": 50.0, "command": ["vllm", "serve"], "vllm_version": "0.32.0"},
        "cells": cells,
        "provenance": provenance("scripts.serve.bench"),
    }


def score_json(arm: str, seed: int, problems: int = 32, skill: float = 0.5) -> dict[str, Any]:
    """Five samples a problem, of which about the share `skill` passes."""
    dice = random.Random(f"{arm}{seed}")
    by_problem = {
        f"Prob{number:03}_task_{number}": {
            "passed": sum(dice.random() < skill for _ in range(5)),
            "samples": 5,
            "category": "clocked" if number % 4 == 0 else "combinational",
        }
        for number in range(1, problems + 1)
    }
    passed = sum(entry["passed"] for entry in by_problem.values())
    solved = sum(entry["passed"] > 0 for entry in by_problem.values())
    by_category = {}
    for name in ("clocked", "combinational"):
        members = [entry for entry in by_problem.values() if entry["category"] == name]
        good = sum(entry["passed"] for entry in members)
        by_category[name] = {
            "problems": len(members),
            "samples": 5 * len(members),
            "passed": good,
            "verdict_counts": {"pass": good, "mismatch": 5 * len(members) - good},
        }
    return {
        "arm": arm,
        "seed": seed,
        "problems": problems,
        "samples_per_problem": 5,
        "samples_passed": passed,
        "pass_at_k": {"1": passed / (5 * problems), "5": solved / problems},
        "pass_at_k_interval": {k: {"level": 0.95, "low": 0.0, "high": 1.0} for k in ("1", "5")},
        "problems_solved": solved,
        "samples_cut_off": 2,
        "verdict_counts": {"pass": passed, "mismatch": 5 * problems - passed},
        "by_problem": by_problem,
        "by_category": by_category,
        "verilog_eval_counts": {".": passed, "R": 5 * problems - passed},
        "disagreements": [],
        "unsolvable_problems": [],
        "ceiling": 1.0,
        "engines": {"vllm 0.32.0": 5 * problems},
        "icarus_version": "12.0",
        "provenance": provenance("scripts.verilog.score"),
    }


def write_run(folder: Path, seeds: tuple[int, ...] = (0, 1), problems: int = 32) -> Path:
    """All result files that the cost, report and archive stages read, below `folder`; returns `folder`."""
    _write(folder / "data/report.json", data_report_json())
    skills = {"base": 0.1, "tpu": 0.6, "gpu": 0.65}
    for arm in ARMS:
        name = arm["name"]
        bench = bench_json(name, speed=1.1 if name == "tpu" else 1.0)
        _write(folder / f"bench/{name}.json", bench)
        for cell in bench["cells"]:
            _write(folder / cell["raw"], {"request_rate": cell["request_rate_per_sec"]})
        for seed in seeds if arm["train"] else seeds[:1]:
            _write(folder / f"scores/{name}/seed{seed}.json", score_json(name, seed, problems, skills[name]))
            _write_lines(folder / f"samples/{name}/seed{seed}.jsonl", [{"completion_tokens": 100}] * (5 * problems))
            if arm["train"]:
                run = run_json(name, seed, speed=1.5 if name == "tpu" else 1.0)
                _write(folder / f"train/{name}/seed{seed}/run.json", {**run, "backend": arm["train"]})
                _write_lines(folder / f"train/{name}/seed{seed}/metrics.jsonl", metrics_rows(300, seed))
    return folder


def result_flags(folder: Path, samples: bool = False) -> list[str]:
    """The flags --runs, --benches, --scores and, if wanted, --samples for the files that `write_run` wrote."""
    kinds = {"--runs": "train/*/*/run.json", "--benches": "bench/*.json", "--scores": "scores/*/*.json"}
    kinds |= {"--samples": "samples/*/*.jsonl"} if samples else {}
    return [text for flag, pattern in kinds.items() for text in (flag, *map(str, sorted(folder.glob(pattern))))]


def cost_settings() -> dict[str, Any]:
    arms = [{"name": arm["name"], "train": "laptop" if arm["train"] else None, "serve": "laptop"} for arm in ARMS]
    return {
        "prices": {"laptop": HARDWARE["laptop"]["price"]},
        "spot_prices": {"laptop": {**HARDWARE["laptop"]["price"], "kind": "spot", "usd_per_hour": 0.02}},
        "serving_hours": [1, 8, 24],
        "output_tokens_millions": [1, 100],
        "utilisation": 1.0,
        "sustained_share": 0.8,
        "interruptions_per_hour": 0.0,
        "checkpoint_interval_steps": 100,
        "sensitivity": {
            "price_factors": [0.5, 2.0],
            "utilisations": [0.25, 1.0],
            "interruptions_per_hour": [0.0, 1.0],
        },
        "arms": arms,
    }


def compare_settings() -> dict[str, Any]:
    return {
        "arms": [arm["name"] for arm in ARMS],
        "baseline_arm": "gpu",
        "pass_at_k": [1, 5],
        "resampling": RESAMPLING,
        "difference_of_interest": 0.05,
    }


def table_settings() -> dict[str, Any]:
    arms = [
        {
            "name": arm["name"],
            "label": arm["label"],
            "train_backend": arm["train"],
            "train_hardware": "laptop" if arm["train"] else None,
            "serve_backend": "native",
            "serve_hardware": "laptop",
            "tensor_parallel_size": 1,
        }
        for arm in ARMS
    ]
    return {"arms": arms, "baseline_arm": "gpu", "hardware": {"laptop": HARDWARE["laptop"]}}


def _write(path: Path, payload: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(payload))


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
