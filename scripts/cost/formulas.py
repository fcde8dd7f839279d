"""The formulas of cost: price times time, and what it buys. Arguments are checked for their dimension by pint.

Section numbers are the paper's. A time or an amount of zero is allowed where it is multiplied, never where it divides.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.common.units import (
    HOURLY_PRICE,
    MONEY,
    PROBLEMS,
    THROUGHPUT,
    TIME,
    TOKEN_PRICE,
    TOKENS,
    UNITS,
    Quantity,
    not_negative,
    positive,
)


@UNITS.check(TIME, HOURLY_PRICE)
def rent(time: Quantity, price: Quantity) -> Quantity:
    """time x price [USD]: the whole machine is paid for, busy or idle (sections 5.4 and 9)."""
    return (not_negative(time, "time") * positive(price, "price")).to("USD")


@UNITS.check(MONEY, TOKENS)
def price_per_token(cost: Quantity, tokens: Quantity) -> Quantity:
    """cost / tokens [USD per million tokens] (section 5.4, cost per 1M tokens trained)."""
    return (not_negative(cost, "cost") / positive(tokens, "tokens")).to("USD/Mtoken")


@UNITS.check(THROUGHPUT, HOURLY_PRICE)
def price_of_output(throughput: Quantity, price: Quantity) -> Quantity:
    """price / throughput [USD per million tokens] of a server that always writes at `throughput` (section 8.6)."""
    return (positive(price, "price") / positive(throughput, "throughput")).to("USD/Mtoken")


@UNITS.check(TOKENS, THROUGHPUT, None)
def serving_time(tokens: Quantity, throughput: Quantity, utilisation: float) -> Quantity:
    """tokens / (throughput x utilisation) [h]: the paid hours that write `tokens`.

    `utilisation` is the share of the paid time, in (0, 1], in which the server writes at `throughput`; it idles or
    starts in the rest.
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation: expected a share above 0 and at most 1, found {utilisation}")
    return (not_negative(tokens, "tokens") / (positive(throughput, "throughput") * utilisation)).to("hour")


@UNITS.check(MONEY, TIME, HOURLY_PRICE)
def total_cost(training: Quantity, serving: Quantity, price: Quantity) -> Quantity:
    """training + serving x price [USD]: total cost of ownership of one training run, then serving (section 9)."""
    return not_negative(training, "training") + rent(serving, price)


@UNITS.check(TOKENS, TOKEN_PRICE, PROBLEMS)
def price_per_problem(tokens: Quantity, price: Quantity, solved: Quantity) -> Quantity:
    """tokens x price / solved [USD per problem]: what writing all answers cost, over the problems that they solved."""
    return (not_negative(tokens, "tokens") * positive(price, "price") / positive(solved, "solved")).to("USD/problem")


@dataclass(frozen=True)
class CostLine:
    """What an arm costs in all: `fixed` [USD] at the start, then `slope` for each hour or token."""

    fixed: Quantity
    slope: Quantity


@dataclass(frozen=True)
class BreakEven:
    """Where two cost lines meet, and which is cheaper before and after: "first", "second" or None for neither.

    `at` is None where they do not meet at an amount above 0: then one is cheaper throughout, or they are equal.
    """

    at: Quantity | None
    cheaper_before: str | None
    cheaper_after: str | None


def break_even(first: CostLine, second: CostLine) -> BreakEven:
    """The amount at which both cost the same: (second.fixed - first.fixed) / (first.slope - second.slope).

    Raises pint.DimensionalityError where one line is by the hour and the other by the token.
    """
    head_start, catching_up = second.fixed - first.fixed, first.slope - second.slope
    before, after = _cheaper(head_start), _cheaper(-catching_up)
    if before is None or after is None or before == after:
        throughout = before or after
        return BreakEven(None, throughout, throughout)
    return BreakEven(head_start / catching_up, before, after)


def _cheaper(advantage_of_first: Quantity) -> str | None:
    if advantage_of_first.magnitude == 0:
        return None
    return "first" if advantage_of_first.magnitude > 0 else "second"
