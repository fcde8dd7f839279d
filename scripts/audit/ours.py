"""What this project's run has for a published number: taken from its result files and its settings, with units."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.audit.published import Published
from scripts.common.units import in_unit, quantity

Getter = Callable[["ArmResults"], float | None]


@dataclass(frozen=True)
class ArmResults:
    """Result files of one arm (`runs` and `scores`: one a seed) and the settings of the whole run.

    `at_scale`: the model is the paper's and no CPU took part, so that its measurements may be compared.
    """

    runs: Sequence[dict[str, Any]]
    scores: Sequence[dict[str, Any]]
    bench: dict[str, Any]
    costs: dict[str, Any]
    settings: dict[str, dict[str, Any]]
    at_scale: bool

    @property
    def mark(self) -> str:
        return "measured" if self.at_scale else "mini"

    def of_runs(self, getter: Callable[[dict[str, Any]], float]) -> float:
        return statistics.fmean(getter(run) for run in self.runs)

    def of_scores(self, getter: Callable[[dict[str, Any]], float]) -> float:
        return statistics.fmean(getter(score) for score in self.scores)

    def context(self, published: tuple[int, int], position: int) -> tuple[int, int] | None:
        """(input, output) tokens of ours beside a published context: the same, or in a miniature the one that is as
        short among ours (`position` from the shortest) as it is among the paper's; None where there is none."""
        ours = sorted({(cell["input_tokens"], cell["output_tokens"]) for cell in self.bench["cells"]})
        if published in ours:
            return published
        return ours[position] if not self.at_scale and position < len(ours) else None

    def cells(self, context: tuple[int, int] | None) -> list[dict[str, Any]]:
        return [cell for cell in self.bench["cells"] if (cell["input_tokens"], cell["output_tokens"]) == context]


@dataclass(frozen=True)
class Quantity:
    """One row: the published claims of the two arms, and how ours is found, in `unit`.

    `setting`: what a run was told, whose ratio says how much smaller a miniature is; results need the scale.
    `note`: what a reader must know of ours, such as another context.
    """

    section: str
    label: str
    tpu: str
    gpu: str
    unit: str
    ours: Getter
    setting: bool = False
    note: Callable[[ArmResults], str] = lambda _: ""


def settings_quantities() -> list[Quantity]:
    """What the two runs were told to do."""

    def of(label: str, claim_id: str, unit: str, part: str, key: str) -> Quantity:
        return Quantity("Settings", label, claim_id, claim_id, unit, lambda arm: arm.settings[part][key], True)

    return [
        of("Samples a step", "effective_batch_size", "sample/step", "train", "samples_per_step"),
        of("Longest training row", "max_seq_len", "token/sample", "data", "max_seq_len_tokens"),
        of("LoRA rank", "lora_rank", "ratio", "train", "lora_rank"),
        of("LoRA alpha", "lora_alpha", "ratio", "train", "lora_alpha"),
        of("Peak learning rate", "peak_learning_rate", "ratio", "train", "peak_learning_rate"),
        of("Warm-up", "warmup_steps", "step", "train", "warmup_steps"),
        of("Prompts of a benchmark cell", "prompts", "request", "bench", "prompts_per_cell"),
        of("Longest prompt and answer", "max_model_len", "token/request", "serve", "max_model_len_tokens"),
        of("Samples a problem", "samples_per_problem", "sample/problem", "verilog", "samples_per_problem"),
        of("Temperature", "temperature", "ratio", "verilog", "temperature"),
    ]


def result_quantities(published: Published) -> list[Quantity]:
    """What the two runs measured, and what follows from it."""
    return [
        Quantity(
            "Training", "Optimizer steps", "tpu_optimizer_steps", "gpu_checkpoint_step", "step",
            lambda arm: arm.of_runs(lambda run: run["optimizer_steps"]), True,
        ),
        Quantity(
            "Training", "Wall-clock time", "tpu_training_hours", "gpu_training_hours", "s",
            lambda arm: arm.of_runs(lambda run: run["wall_clock_sec"]),
        ),
        Quantity(
            "Training", "Throughput, real tokens", "tpu_training_throughput", "gpu_training_throughput", "token/s",
            lambda arm: arm.of_runs(lambda run: run["real_tokens"] / run["wall_clock_sec"]),
        ),
        Quantity(
            "Training", "Time per sample", "tpu_sec_per_sample", "gpu_sec_per_sample", "s/sample",
            lambda arm: arm.of_runs(lambda run: run["wall_clock_sec"] / run["samples"]),
        ),
        Quantity(
            "Training", "Final loss", "tpu_final_loss", "gpu_final_loss", "ratio",
            lambda arm: arm.of_runs(lambda run: run["final_loss"]),
        ),
        Quantity(
            "Training", "Cost", "tpu_training_cost", "gpu_training_cost", "USD",
            lambda arm: arm.costs["training"]["cost_usd"]["mean"],
        ),
        Quantity(
            "Training", "Cost of real tokens", "tpu_cost_per_million", "gpu_cost_per_million", "USD/Mtoken",
            lambda arm: arm.costs["training"]["usd_per_million_real_tokens"]["mean"],
        ),
        Quantity(
            "Evaluation", "Problems", "tpu_problems", "gpu_problems", "problem",
            lambda arm: arm.of_scores(lambda score: score["problems"]), True,
        ),
        *(
            Quantity("Evaluation", f"pass@{k}", f"tpu_pass_at_{k}", f"gpu_pass_at_{k}", "ratio", _pass_at(k))
            for k in ("1", "5")
        ),
        *(row for i, names in enumerate(CONTEXTS) for row in _serving_quantities(published, i, *names)),
        *(_total_cost(published, name) for name in ("1h", "8h", "24h")),
    ]  # fmt: skip


# Of each published context: the claims of its input, its output, the part of an id that stands for it, its TTFT's rate.
CONTEXTS = (
    ("short_context_input", "short_context_output", "in512", "burst_rate"),
    ("medium_context_input", "medium_context_output", "in1024", "medium_context_ttft_rate"),
    ("long_context_input", "long_context_output", "in4096", "long_context_ttft_rate"),
    ("very_long_context_input", "very_long_context_output", "in8192", "very_long_context_ttft_rate"),
    ("sweep_longest_input", "max_context_output", "in15360", "max_context_ttft_rate"),
)


def _serving_quantities(
    published: Published, position: int, input_id: str, output_id: str, part: str, rate_id: str
) -> list[Quantity]:
    """Peak throughput, and median latencies where the paper has them, at one published context."""
    context = (round(published.claims[input_id].number.value), round(published.claims[output_id].number.value))
    section = f"Serving, {context[0]:,} in / {context[1]:,} out"
    rate_claim = published.claims[rate_id]
    rate: float | str = rate_claim.number.value if rate_claim.unit else str(rate_claim.printed)

    def cells(arm: ArmResults) -> list[dict[str, Any]]:
        return arm.cells(arm.context(context, position))

    def other_context(arm: ArmResults) -> str:
        ours = arm.context(context, position)
        return f"{ours[0]:,} in / {ours[1]:,} out" if ours and ours != context else ""

    def peak(arm: ArmResults) -> dict[str, Any] | None:
        return max(cells(arm), key=lambda cell: cell["output_tokens_per_sec"] or 0.0, default=None)

    def at_peak(key: str) -> Getter:
        return lambda arm: cell[key] if (cell := peak(arm)) else None

    def ttft(arm: ArmResults) -> float | None:
        return next((c["ttft_ms"]["median"] for c in cells(arm) if c["request_rate_per_sec"] == rate), None)

    def tpot(arm: ArmResults) -> float | None:
        return cell["tpot_ms"]["median"] if (cell := peak(arm)) else None

    wanted: list[tuple[str, str, str, Getter]] = [
        ("Peak output throughput", "throughput", "token/s", at_peak("output_tokens_per_sec")),
        (f"Median TTFT, rate {rate:g}" if rate_claim.unit else "Median TTFT, all at once", "ttft", "ms", ttft),
        ("Median TPOT", "tpot", "ms", tpot),
    ]
    rows = [
        Quantity(section, label, f"tpu_{name}_{part}", f"gpu_{name}_{part}", unit, ours, note=other_context)
        for label, name, unit, ours in wanted
    ]
    return [row for row in rows if row.tpu in published.claims]


def _pass_at(k: str) -> Getter:
    def ours(arm: ArmResults) -> float | None:
        return arm.of_scores(lambda score: score["pass_at_k"][k]) if k in arm.scores[0]["pass_at_k"] else None

    return ours


def _total_cost(published: Published, name: str) -> Quantity:
    """Training and the published hours of serving: training cost + hours x price of the serving hardware."""
    hours = published.claims[f"hours_{name}"].number.value
    return Quantity(
        "Total cost of ownership", f"Training and {hours:g} h of serving", f"tco_tpu_{name}", f"tco_gpu_{name}", "USD",
        lambda arm: arm.costs["training"]["cost_usd"]["mean"] + hours * arm.costs["serving"]["usd_per_hour"],
    )  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """One line of the table. `ratio` is ours / published, None where the scale or a missing value forbids it."""

    section: str
    label: str
    arm: str
    claim_id: str
    published: float
    unit: str
    ours: float | None
    mark: str
    note: str
    ratio: float | None


def beside(published: Published, quantity_row: Quantity, arm: str, results: ArmResults) -> Beside:
    """A published number and ours, in the published unit. `arm`: tpu or gpu, as the paper calls them."""
    claim_id = quantity_row.tpu if arm == "tpu" else quantity_row.gpu
    claim = published.claims[claim_id]
    raw = quantity_row.ours(results)
    ours = None if raw is None else in_unit(quantity(float(raw), quantity_row.unit), str(claim.unit))
    value, row = claim.number.value, quantity_row
    ratio = ours / value if (results.at_scale or row.setting) and ours is not None and value else None
    note = row.note(results) if ours is not None else ""
    return Beside(row.section, row.label, arm, claim_id, value, str(claim.unit), ours, results.mark, note, ratio)


def planned_lines(published: Published, plan: dict[str, Any]) -> list[Beside]:
    """What the plan predicts for the paper's own choices at the roofline, and for the recommended ones."""
    lines = []
    for label, run, kind in (
        ("the paper's choices, at the roofline", plan["reference"], "limit"),
        ("recommended choices, at the paper's efficiency", plan["recommended"], "calibrated"),
    ):
        if run is None:
            continue
        for what, key, claim_id in (
            ("Training time", f"{kind}_hours", "tpu_training_hours"),
            ("Training cost", f"{kind}_usd", "tpu_training_cost"),
        ):
            claim, ours = published.claims[claim_id], run["predicted"][key]
            ratio = None if ours is None else ours / claim.number.value
            unit, value = str(claim.unit), claim.number.value
            lines.append(Beside("Plan", what, "tpu", claim_id, value, unit, ours, "planned", label, ratio))
    return lines
