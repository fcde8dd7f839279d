"""An arm against the baseline on the same problems: difference, interval, tests, power, and the problems that flip."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from scripts.common.errors import UserError
from scripts.verilog import power
from scripts.verilog.intervals import Resampling, mean_with_interval
from scripts.verilog.paired import Counts, cohen_dz, common_odds_ratio, p_other_problems, p_same_problems
from scripts.verilog.pass_at_k import pass_at_k

Score = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ArmScores:
    """The scores of an arm, one a training seed, on `problems` (sorted names). Its models are taken as given."""

    name: str
    scores: Sequence[Score]
    problems: tuple[str, ...]

    @property
    def counts(self) -> Counts:
        """Samples of all seeds together."""
        return Counts(*(self._of_all_seeds(key).sum(axis=0) for key in ("passed", "samples")))

    def rates(self, k: int) -> np.ndarray:
        """pass@k of each problem, averaged over seeds, shape (problems,)."""
        passed, samples = self._of_all_seeds("passed"), self._of_all_seeds("samples")
        by_seed = [
            [pass_at_k(int(n), int(c), k) for n, c in zip(drawn, good, strict=True)]
            for drawn, good in zip(samples, passed, strict=True)
        ]
        return np.array(by_seed).mean(axis=0)

    def _of_all_seeds(self, key: str) -> np.ndarray:
        """Shape (seeds, problems)."""
        return np.array([[score["by_problem"][name][key] for name in self.problems] for score in self.scores])


def group_by_arm(scores: Sequence[Score], arms: Sequence[str]) -> dict[str, ArmScores]:
    """The scores of each of `arms`. Raises UserError unless all have one, on the same problems."""
    names = tuple(sorted(scores[0]["by_problem"])) if scores else ()
    for score in scores:
        if other := sorted(set(score["by_problem"]) ^ set(names)):
            raise UserError(
                f"{score['arm']}, seed {score['seed']}: {other[0]} is a problem of it or of {scores[0]['arm']}, seed "
                f"{scores[0]['seed']}, not of both; score both on the same problems"
            )
    grouped = {arm: [score for score in scores if score["arm"] == arm] for arm in arms}
    if missing := [arm for arm, found in grouped.items() if not found]:
        raise UserError(f"arm {missing[0]}: none of the files of --scores is of this arm")
    return {arm: ArmScores(arm, found, names) for arm, found in grouped.items()}


def compare(
    arm: ArmScores, baseline: ArmScores, ks: Sequence[int], resampling: Resampling, difference_of_interest: float
) -> dict[str, Any]:
    """Everything about one pair; p-values are not corrected for the number of pairs yet."""
    solved, solved_before = arm.rates(1) > 0, baseline.rates(1) > 0
    return {
        "arm": arm.name,
        "baseline": baseline.name,
        "problems": len(arm.problems),
        "pass_at_k": {str(k): compare_rates(arm.rates(k), baseline.rates(k), resampling) for k in ks},
        "samples": compare_samples(arm.counts, baseline.counts, resampling.level),
        "power": compare_power(arm.counts, baseline.counts, 1 - resampling.level, difference_of_interest),
        "flips": {
            "solved_by_arm_only": _named(arm.problems, solved & ~solved_before),
            "solved_by_baseline_only": _named(arm.problems, solved_before & ~solved),
        },
    }


def compare_rates(rates: np.ndarray, baseline: np.ndarray, resampling: Resampling) -> dict[str, Any]:
    """Difference of pass@k with its interval, p-value and effect size over problems; rates of shape (problems,)."""
    # Averages of fractions that are equal on paper differ in the last bit.
    differences = np.round(rates - baseline, 12)
    estimate = mean_with_interval(differences, resampling)
    return {
        "difference": estimate.estimate,
        "low": estimate.low,
        "high": estimate.high,
        "p_other_problems": p_other_problems(differences, resampling),
        "cohen_dz": cohen_dz(differences),
    }


def compare_samples(arm: Counts, baseline: Counts, level: float) -> dict[str, Any]:
    """What the samples say of these very problems: exact p-value and common odds ratio."""
    ratio = common_odds_ratio(arm, baseline, level)
    return {
        "p_same_problems": p_same_problems(arm, baseline),
        "odds_ratio": dataclasses.asdict(ratio) if ratio else None,
    }


def compare_power(arm: Counts, baseline: Counts, alpha: float, of_interest: float) -> dict[str, Any] | None:
    """What a comparison of this size finds with 80 % power, and the size that finds the difference of interest or the
    one observed; None with one sample a problem."""
    parts = power.variances(arm, baseline)
    if parts is None:
        return None
    # Thousandths of a sample's share are rounding, not a difference to plan for.
    observed = round(abs(float((arm.rates - baseline.rates).mean())), 9)
    return {
        "detectable_same_problems": power.detectable_same_problems(parts, alpha),
        "detectable_other_problems": power.detectable_other_problems(parts, alpha),
        **{
            name: {
                "difference": difference,
                "power_same_problems": power.power_same_problems(difference, parts, alpha),
                "power_other_problems": power.power_other_problems(difference, parts, alpha),
                "samples_same_problems": power.samples_needed_same_problems(difference, parts, alpha),
                "samples_other_problems": power.samples_needed_other_problems(difference, parts, alpha),
                "problems": power.problems_needed(difference, parts, alpha),
            }
            for name, difference in (("of_interest", of_interest), ("observed", observed))
        },
    }


def correct_for_several(comparisons: Sequence[dict[str, Any]]) -> None:
    """Adds to each p-value the one corrected by Holm's method for the number of arms compared with the baseline."""
    if not comparisons:
        return
    places = [("p_same_problems", [pair["samples"] for pair in comparisons])]
    places += [
        ("p_other_problems", [pair["pass_at_k"][k] for pair in comparisons]) for k in comparisons[0]["pass_at_k"]
    ]
    for key, entries in places:
        _, corrected, *_ = multipletests([entry[key] for entry in entries], method="holm")
        for entry, value in zip(entries, corrected, strict=True):
            entry[f"{key}_holm"] = float(value)


def sentence(pair: Mapping[str, Any], level: float) -> str:
    """What the comparison says of pass@k for the smallest k. "Not significant" never stands without its interval."""
    k, rates = next(iter(pair["pass_at_k"].items()))
    alpha = 1 - level
    verdicts = [
        f"{'significant' if p < alpha else 'not significant'} {where} (p = {p:.2g})"
        for where, p in (
            ("over the sampling of these problems", pair["samples"]["p_same_problems_holm"]),
            ("over problems of the kind", rates["p_other_problems_holm"]),
        )
    ]
    text = (
        f"pass@{k} of {pair['arm']} less {pair['baseline']}'s: {rates['difference']:+.4f} ({level:.0%} interval over "
        f"problems {rates['low']:+.4f} to {rates['high']:+.4f}); {', '.join(verdicts)}."
    )
    if pair["power"]:
        text += (
            f" A comparison of this size finds {pair['power']['detectable_same_problems']:.4f} and "
            f"{pair['power']['detectable_other_problems']:.4f} with 80% power."
        )
    return text


def _named(problems: Sequence[str], chosen: np.ndarray) -> list[str]:
    return [name for name, taken in zip(problems, chosen, strict=True) if taken]
