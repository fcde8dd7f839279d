"""Puts published totals through the same statistics: whatever the counts by problem were that nobody printed.

Of all tables of counts that give the printed figures, the extreme ones are compared as two arms of a run are.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from scipy import stats

from scripts.common.errors import UserError, entry_point
from scripts.common.files import write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.verilog.comparison import compare_power, compare_rates, compare_samples
from scripts.verilog.count_tables import (
    Totals,
    extreme_table,
    permutation_variance,
    squared_difference,
    totals,
)
from scripts.verilog.intervals import Resampling, mean_with_interval

# As the paper's table names its columns, and what the ids of their claims begin with.
ARMS = {"arm": ("TPU-trained", "tpu"), "baseline": ("GPU-trained", "gpu")}


@dataclasses.dataclass(frozen=True)
class PublishedSettings:
    """How intervals are made, and the smallest difference in pass@1 that would matter."""

    resampling: Resampling
    difference_of_interest: float


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of PublishedSettings")
    parser.add_argument("--published", type=Path, required=True, help="resources/paper's section on evaluation")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


def read_figures(path: Path) -> dict[str, Any]:
    """The printed totals of both arms and the sentence on their difference, from the transcription of the section.

    Raises UserError where a claim is not there.
    """
    section = yaml.safe_load(path.read_text(encoding="utf-8"))
    statement_of = {claim_id: each for each in section["statements"] for claim_id in each["claims"]}

    def printed(claim_id: str) -> str:
        found: str = statement_of[claim_id]["claims"][claim_id]["printed"]
        return found

    try:
        samples = int(printed("samples_per_problem"))
        return {
            "source": f"paper, section {section['section'].split()[0]}",
            "claim": statement_of["gap_is_not_significant"]["quote"],
            "problems": int(printed("problems")),
            "samples_per_problem": samples,
            **{
                name: {
                    "label": label,
                    "pass_at_1": float(printed(f"{prefix}_pass_at_1")),
                    "pass_at_n": float(printed(f"{prefix}_pass_at_{samples}")),
                }
                for name, (label, prefix) in ARMS.items()
            },
        }
    except KeyError as error:
        raise UserError(f"{path}: claim {error} is missing") from None


def extremes(published: dict[str, Any], arm: Totals, baseline: Totals, settings: PublishedSettings) -> dict[str, Any]:
    """The comparison of pass@1 under each of the extreme tables."""
    problems, samples = published["problems"], published["samples_per_problem"]
    found = {}
    for aspect, value in (
        ("sampling_noise", permutation_variance(samples)),
        ("disagreement", squared_difference),
    ):
        for end in ("least", "most"):
            one, other = extreme_table(arm, baseline, problems, samples, value, end == "most")
            found[f"{end}_{aspect}"] = {
                **compare_rates(one.rates, other.rates, settings.resampling),
                **compare_samples(one, other, settings.resampling.level),
                "arm": dataclasses.asdict(mean_with_interval(one.rates, settings.resampling)),
                "baseline": dataclasses.asdict(mean_with_interval(other.rates, settings.resampling)),
                "power": compare_power(one, other, 1 - settings.resampling.level, settings.difference_of_interest),
            }
    return found


def solved_extremes(arm: Totals, baseline: Totals, problems: int) -> dict[str, float]:
    """Lowest and highest p-value of the exact sign test (McNemar) on the problems that only one arm solves."""
    difference = abs(arm.problems_solved - baseline.problems_solved)
    # As many more as the arm that solves fewer has, and the other leaves unsolved, may flip in both directions.
    fewer, more = sorted((arm.problems_solved, baseline.problems_solved))
    both_ways = min(fewer, problems - more)
    p_values = [
        stats.binomtest(flips, 2 * flips + difference).pvalue if 2 * flips + difference else 1.0
        for flips in range(both_ways + 1)
    ]
    return {"p_least": float(min(p_values)), "p_most": float(max(p_values))}


def conclusion(found: dict[str, Any], alpha: float) -> str:
    """What the extremes allow to be said of sampling noise and of other problems."""
    parts = []
    for where, key in (("the sampling of these problems", "p_same_problems"), ("other problems", "p_other_problems")):
        values = [entry[key] for entry in found.values()]
        low, high = min(values), max(values)
        verdict = "significant" if high < alpha else "not significant" if low >= alpha else "not decided"
        parts.append(f"over {where} {verdict} by the published totals (p from {low:.2g} to {high:.2g})")
    return f"The published difference in pass@1 is {'; '.join(parts)}."


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(PublishedSettings, args.settings)
    published = read_figures(args.published)
    problems, samples = published["problems"], published["samples_per_problem"]
    try:
        arm, baseline = (
            totals(published[name]["pass_at_1"], published[name]["pass_at_n"], problems, samples)
            for name in ("arm", "baseline")
        )
        found = extremes(published, arm, baseline, settings)
    except ValueError as error:
        raise UserError(f"{args.published}: {error}") from None
    payload = {
        "published": published,
        "arm": dataclasses.asdict(arm),
        "baseline": dataclasses.asdict(baseline),
        "extremes": found,
        "pass_at_n": solved_extremes(arm, baseline, problems),
        "conclusion": conclusion(found, 1 - settings.resampling.level),
        "provenance": provenance("scripts.verilog.published", dataclasses.asdict(settings), ("scipy", "statsmodels")),
    }
    write_json(args.output, payload)
    print(payload["conclusion"])


if __name__ == "__main__":
    main()
