"""Tables of counts behind printed totals: the extremes are found, and no table lies beyond them."""

import itertools

import numpy as np
import pytest

from scripts.verilog.count_tables import Totals, extreme_table, permutation_variance, squared_difference, totals
from scripts.verilog.paired import Counts, p_same_problems

PAPER = Totals(500, 124), Totals(544, 127)


def test_the_papers_figures_are_whole_numbers_of_samples_and_problems() -> None:
    assert totals(0.6410, 0.7949, 156, 5) == PAPER[0]
    assert totals(0.6974, 0.8141, 156, 5) == PAPER[1]


@pytest.mark.parametrize("figures", [(0.6411, 0.7949, 156, 5), (0.64, 0.79, 156, 5, 2)], ids=str)
def test_figures_that_no_count_or_several_print_are_refused(figures: tuple[float, float, int, int]) -> None:
    with pytest.raises(ValueError, match="expected one"):
        totals(*figures)


def has(counts: Counts, wanted: Totals) -> bool:
    return (counts.passed.sum(), (counts.passed > 0).sum()) == (wanted.samples_passed, wanted.problems_solved)


@pytest.mark.parametrize("value", [squared_difference, permutation_variance(2)], ids=["disagreement", "noise"])
@pytest.mark.parametrize("highest", [False, True])
def test_the_extreme_is_that_of_all_tables(value: object, highest: bool) -> None:
    arm, baseline = Totals(3, 2), Totals(4, 3)
    assert callable(value)
    sums = [
        sum(value(a, b) for a, b in zip(first, second, strict=True))
        for first, second in itertools.product(itertools.product(range(3), repeat=4), repeat=2)
        if has(Counts(np.array(first), np.full(4, 2)), arm) and has(Counts(np.array(second), np.full(4, 2)), baseline)
    ]
    first, second = extreme_table(arm, baseline, 4, 2, value, highest)
    assert has(first, arm)
    assert has(second, baseline)
    found = sum(value(int(a), int(b)) for a, b in zip(first.passed, second.passed, strict=True))
    assert found == pytest.approx(max(sums) if highest else min(sums))


def test_the_variance_is_that_of_exchanged_labels() -> None:
    pool = [1] * 5 + [0] * 3
    sums = [sum(chosen) for chosen in itertools.combinations(pool, 4)]
    assert permutation_variance(4)(3, 2) == pytest.approx(np.var(sums))


def random_counts(dice: np.random.Generator, wanted: Totals, problems: int, samples: int) -> np.ndarray:
    """Passed samples of each problem, at random, with the totals wanted."""
    passed = np.zeros(problems, int)
    solved = dice.permutation(problems)[: wanted.problems_solved]
    passed[solved] = 1
    # The more unequal the weights, the more problems are passed by all samples or by one.
    weights = dice.dirichlet(np.full(len(solved), dice.uniform(0.2, 20)))
    for _ in range(wanted.samples_passed - len(solved)):
        open_ones = passed[solved] < samples
        passed[dice.choice(solved[open_ones], p=weights[open_ones] / weights[open_ones].sum())] += 1
    return passed


def test_whatever_the_papers_counts_were_sampling_noise_does_not_explain_its_difference() -> None:
    worst = p_same_problems(*extreme_table(*PAPER, 156, 5, permutation_variance(5), True))
    assert worst == pytest.approx(0.0214, abs=0.0005)
    dice = np.random.default_rng(0)
    for _ in range(40):
        first, second = (Counts(random_counts(dice, wanted, 156, 5), np.full(156, 5)) for wanted in PAPER)
        assert p_same_problems(first, second) <= worst


def test_totals_without_a_table_are_refused() -> None:
    with pytest.raises(ValueError, match="no table"):
        extreme_table(Totals(9, 1), Totals(1, 1), 4, 2, squared_difference, True)
