"""Compares the arms' scores on the same problems: intervals, paired tests, effect sizes, power, and what flips."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, write_json
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.verilog.comparison import compare, correct_for_several, group_by_arm, sentence
from scripts.verilog.intervals import Resampling, mean_with_interval


@dataclasses.dataclass(frozen=True)
class CompareSettings:
    """The arms in order, the one that the others are compared with, the values of k, how intervals are made, and the
    smallest difference in pass@1 that would matter."""

    arms: tuple[str, ...]
    baseline_arm: str
    pass_at_k: tuple[int, ...]
    resampling: Resampling
    difference_of_interest: float

    def __post_init__(self) -> None:
        if self.baseline_arm not in self.arms:
            raise ValueError(f"baseline_arm: found {self.baseline_arm!r}, which is no arm")
        if not 0 < self.difference_of_interest < 1:
            raise ValueError("difference_of_interest must be in (0, 1)")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of CompareSettings")
    parser.add_argument("--scores", nargs="+", type=Path, required=True, help="scores of each arm and seed")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(CompareSettings, args.settings)
    scores = [read_json(path) for path in args.scores]
    ks = sorted(settings.pass_at_k)
    too_few = [score for score in scores if score["samples_per_problem"] < max(ks)]
    if too_few:
        raise UserError(
            f"{too_few[0]['arm']}, seed {too_few[0]['seed']}: pass@{max(ks)} needs {max(ks)} samples a problem, found "
            f"{too_few[0]['samples_per_problem']}; raise verilog.samples_per_problem or lower verilog.pass_at_k"
        )
    arms = group_by_arm(scores, settings.arms)
    baseline = arms[settings.baseline_arm]
    pairs = [
        compare(arm, baseline, ks, settings.resampling, settings.difference_of_interest)
        for name, arm in arms.items()
        if name != settings.baseline_arm
    ]
    correct_for_several(pairs)
    for pair in pairs:
        pair["sentence"] = sentence(pair, settings.resampling.level)
        print(pair["sentence"])
    payload = {
        "baseline_arm": settings.baseline_arm,
        "level": settings.resampling.level,
        "arms": {
            name: {str(k): dataclasses.asdict(mean_with_interval(arm.rates(k), settings.resampling)) for k in ks}
            for name, arm in arms.items()
        },
        "comparisons": pairs,
        "provenance": provenance("scripts.verilog.compare", dataclasses.asdict(settings), ("scipy", "statsmodels")),
    }
    write_json(args.output, payload)


if __name__ == "__main__":
    main()
