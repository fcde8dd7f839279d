"""The tables of counts by problem that published totals leave possible, and the extremes among them.

A paper prints pass@1 and pass@n of two arms; how often each arm passed each problem it keeps to itself. Every table of
whole numbers that gives these figures might be the one behind them, so a statistic has a lowest and a highest value.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from scipy import optimize, sparse

from scripts.verilog.paired import Counts


@dataclasses.dataclass(frozen=True)
class Totals:
    """What is known of an arm: samples that pass over all problems, and problems that any sample passes."""

    samples_passed: int
    problems_solved: int


def totals(pass_at_1: float, pass_at_n: float, problems: int, samples: int, decimals: int = 4) -> Totals:
    """The only whole numbers that print as these figures. Raises ValueError where none do, or more than one might."""
    found = []
    for printed, whole in ((pass_at_1, problems * samples), (pass_at_n, problems)):
        fits = [count for count in range(whole + 1) if abs(count / whole - printed) <= 0.5 * 10**-decimals]
        if len(fits) != 1:
            raise ValueError(f"{printed} of {whole} fits {len(fits)} counts, expected one")
        found.append(fits[0])
    return Totals(*found)


def extreme_table(
    arm: Totals,
    baseline: Totals,
    problems: int,
    samples: int,
    value: Callable[[int, int], float],
    highest: bool,
) -> tuple[Counts, Counts]:
    """The counts (arm, baseline) with the lowest or highest sum over problems of value(passed, baseline's passed).

    An integer program over how many problems have each pair of counts, solved exactly by HiGHS. Raises ValueError where
    no table has these totals.
    """
    pairs = np.array(list(itertools.product(range(samples + 1), repeat=2)))  # (pairs, 2)
    constraints = np.vstack([np.ones(len(pairs)), pairs[:, 0], pairs[:, 0] > 0, pairs[:, 1], pairs[:, 1] > 0])
    wanted = [problems, arm.samples_passed, arm.problems_solved, baseline.samples_passed, baseline.problems_solved]
    cost = np.array([value(int(first), int(second)) for first, second in pairs])
    solution = optimize.milp(
        -cost if highest else cost,
        integrality=np.ones(len(pairs)),
        bounds=optimize.Bounds(0, problems),
        constraints=optimize.LinearConstraint(sparse.csr_array(constraints.astype(float)), wanted, wanted),
    )
    if solution.x is None:
        raise ValueError(f"no table of {problems} problems x {samples} samples has these totals: {solution.message}")
    rows = np.repeat(pairs, np.rint(solution.x).astype(int), axis=0)
    drawn = np.full(len(rows), samples)
    return Counts(rows[:, 0], drawn), Counts(rows[:, 1], drawn)


def squared_difference(passed: int, baseline_passed: int) -> float:
    """Its sum is, the totals given, what varies in the test over problems: more disagreement, less certainty."""
    return float((passed - baseline_passed) ** 2)


def permutation_variance(samples: int) -> Callable[[int, int], float]:
    """Variance of an arm's passes on a problem when all samples' labels are exchanged at random (hypergeometric)."""

    def value(passed: int, baseline_passed: int) -> float:
        total = passed + baseline_passed
        return total * (2 * samples - total) / (4 * (2 * samples - 1))

    return value
