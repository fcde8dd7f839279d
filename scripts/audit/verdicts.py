"""A verdict for every claim, each with its arithmetic."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scripts.audit.expressions import (
    ExpressionError,
    Result,
    Value,
    calls_in,
    comparison,
    evaluate,
    names_in,
    with_values,
)
from scripts.audit.published import Claim, Published
from scripts.common.errors import UserError
from scripts.common.units import in_unit, quantity, shown

Functions = Mapping[str, Callable[..., Any]]


class Verdict(StrEnum):
    """Gravest first: a claim's verdict is the gravest of its findings."""

    IMPOSSIBLE = "impossible"
    CONTRADICTS = "contradicts"
    DIFFERS = "differs"
    NOT_COMPARABLE = "not comparable"
    ROUNDING = "agrees within its rounding"
    AGREES = "agrees"
    UNCHECKED = "cannot be checked"


@dataclass(frozen=True)
class Finding:
    """One check of a claim. `off_by`: recomputed less printed, in the claim's unit, where the check gives a number.
    `others`: the claims that it was checked against."""

    check: str
    verdict: Verdict
    arithmetic: str
    others: tuple[str, ...] = ()
    off_by: float | None = None


@dataclass(frozen=True)
class ClaimAudit:
    claim_id: str
    verdict: Verdict
    findings: tuple[Finding, ...]


def audit(published: Published, functions: Functions) -> list[ClaimAudit]:
    """Every claim in the paper's order. Raises UserError for an expression that cannot be evaluated."""
    values = known_values(published)
    findings = {}
    for claim_id in published.claims:
        try:
            findings[claim_id] = list(findings_of(published, claim_id, values, functions))
        except ExpressionError as error:
            raise UserError(f"claim {claim_id}: {error}") from None
    for claim_id, own in list(findings.items()):
        for finding in [f for f in own if f.check == "same_as" and f.verdict is Verdict.CONTRADICTS]:
            for other in finding.others:
                if claim_id not in published.claims[other].same_as:
                    text = _both(published, other, claim_id)
                    findings[other].append(Finding("same_as", Verdict.CONTRADICTS, text, (claim_id,)))
    order = list(Verdict)
    return [
        ClaimAudit(claim_id, min((f.verdict for f in own), key=order.index), tuple(own))
        for claim_id, own in findings.items()
    ]


def known_values(published: Published) -> dict[str, Value]:
    """What formulas may name: every claim's value, and the evidence."""
    values = {}
    for claim_id, claim in published.claims.items():
        if claim.printed is not None:
            values[claim_id] = Value(published.value(claim_id), claim.number.half_width if claim.unit else 0.0)
    for name, entry in published.header.evidence.items():
        values[name] = Value(quantity(float(entry.value), entry.unit) if entry.unit else entry.value)
    return values


def findings_of(
    published: Published, claim_id: str, values: Mapping[str, Value], functions: Functions
) -> Iterator[Finding]:
    """What the checks of one claim find, in the order of their kinds. Raises ExpressionError."""
    claim = published.claims[claim_id]
    for expression in claim.formula:
        yield _formula(published, claim, expression, values, functions)
    for other in claim.same_as:
        yield _same(published, claim_id, other, values)
    for expression in claim.holds:
        yield _holds(expression, values, functions)
    for kind, expressions in (("at_least", claim.at_least), ("at_most", claim.at_most)):
        for expression in expressions:
            yield _bound(claim, kind, expression, values, functions)
    for expression in claim.possible_if:
        possible = _is_true(evaluate(expression, values, functions), expression)
        verdict = Verdict.UNCHECKED if possible else Verdict.IMPOSSIBLE
        yield Finding(
            "possible_if", verdict, _truth(expression, possible, values, functions), tuple(names_in(expression))
        )
    for expression in claim.shows:
        result = evaluate(expression, values, functions)
        is_truth = isinstance(result.nominal, bool)
        text = (
            _truth(expression, result.nominal, values, functions)
            if is_truth
            else _worked(expression, values, functions)
        )
        yield Finding("shows", Verdict.UNCHECKED, text, tuple(names_in(expression)))
    if claim.unlike is not None:
        yield _unlike(claim.unlike, published)
    if claim.missing is not None:
        yield Finding("missing", Verdict.UNCHECKED, published.header.missing[claim.missing])


def _formula(
    published: Published, claim: Claim, expression: str, values: Mapping[str, Value], functions: Functions
) -> Finding:
    others = tuple(names_in(expression))
    result = evaluate(expression, values, functions)
    if claim.unit is None:
        agrees = result.nominal == claim.printed
        text = f"{_worked(expression, values, functions)}; printed {claim.printed!r}"
        return Finding("formula", Verdict.AGREES if agrees else Verdict.DIFFERS, text, others)
    low, nominal, high = _numbers(result, claim.unit, expression)
    printed = claim.number
    if printed.covers(nominal):
        verdict = Verdict.AGREES
    elif printed.covers(min(max(low, printed.value), high)):
        verdict = Verdict.ROUNDING
    else:
        verdict = Verdict.DIFFERS
    text = _worked(expression, values, functions, claim.unit)
    if low < high:
        text += (
            f" ({shown(quantity(low, claim.unit))} to {shown(quantity(high, claim.unit))} with its inputs' rounding)"
        )
    text += f"; printed {claim.printed}"
    if verdict is Verdict.DIFFERS:
        text += f", off by {shown(quantity(printed.value - nominal, claim.unit))}"
        text += f" ({(printed.value - nominal) / nominal:+.1%})" if nominal else ""
        text += _belongs_elsewhere(published, claim, expression, values, functions)
    return Finding("formula", verdict, text, others, nominal - printed.value)


def _belongs_elsewhere(
    published: Published, claim: Claim, expression: str, values: Mapping[str, Value], functions: Functions
) -> str:
    """Whether the printed value is what the same formula gives in another case, such as another number of hours."""
    for cases in published.header.alternatives:
        for case in cases:
            for other in cases:
                swapped = re.sub(rf"(?<=_){case}(?![A-Za-z0-9])", other, expression)
                if other == case or swapped == expression or set(names_in(swapped)) - values.keys():
                    continue
                _, nominal, _ = _numbers(evaluate(swapped, values, functions), str(claim.unit), swapped)
                if claim.number.covers(nominal):
                    return (
                        f". It is what {other} gives in place of {case}: {swapped} = {with_values(swapped, values)}"
                        f" = {shown(quantity(nominal, str(claim.unit)))}"
                    )
    return ""


def _both(published: Published, claim_id: str, other_id: str) -> str:
    """What a statement and another one of the same thing say."""
    here, there = published.claims[claim_id].printed, published.claims[other_id].printed
    return f"{here} here, {there} in {other_id} ({published.statement_of[other_id].place})"


def _same(published: Published, claim_id: str, other_id: str, values: Mapping[str, Value]) -> Finding:
    claim, other = published.claims[claim_id], published.claims[other_id]
    text = _both(published, claim_id, other_id)
    if claim.unit is None or other.unit is None:
        agrees = (claim.printed, claim.unit) == (other.printed, other.unit)
        return Finding("same_as", Verdict.AGREES if agrees else Verdict.CONTRADICTS, text, (other_id,))
    try:
        value = in_unit(values[other_id].nominal, claim.unit)
        half_width = in_unit(quantity(other.number.half_width, other.unit), claim.unit)
    except ValueError as error:
        raise ExpressionError(f"same_as {other_id}: {error}") from None
    distance = abs(value - claim.number.value)
    if distance <= 1e-9 * abs(value):
        verdict = Verdict.AGREES
    elif distance <= (claim.number.half_width + half_width) * (1 + 1e-9):
        verdict = Verdict.ROUNDING
    else:
        verdict = Verdict.CONTRADICTS
    return Finding("same_as", verdict, text, (other_id,), value - claim.number.value)


def _holds(expression: str, values: Mapping[str, Value], functions: Functions) -> Finding:
    result = evaluate(expression, values, functions)
    if _is_true(Result(result.nominal, (result.nominal,)), expression):
        verdict = Verdict.AGREES
    else:
        verdict = Verdict.ROUNDING if _is_true(result, expression) else Verdict.CONTRADICTS
    text = _truth(expression, bool(result.nominal), values, functions)
    return Finding("holds", verdict, text, tuple(names_in(expression)))


def _bound(claim: Claim, kind: str, expression: str, values: Mapping[str, Value], functions: Functions) -> Finding:
    low, nominal, high = _numbers(evaluate(expression, values, functions), str(claim.unit), expression)
    printed = claim.number
    if kind == "at_least":
        possible = printed.value + printed.half_width >= low * (1 - 1e-9)
    else:
        possible = printed.value - printed.half_width <= high * (1 + 1e-9)
    steps = _worked(expression, values, functions, claim.unit)
    text = f"{kind.replace('_', ' ')} {steps}; printed {claim.printed}: "
    text += "possible" if possible else "not possible"
    verdict = Verdict.UNCHECKED if possible else Verdict.IMPOSSIBLE
    return Finding(kind, verdict, text, tuple(names_in(expression)), nominal - printed.value)


def _unlike(name: str, published: Published) -> Finding:
    pairs = published.header.conditions[name]
    differing = [(a, b) for a, b in pairs if published.value(a) != published.value(b)]
    if not differing:
        return Finding("unlike", Verdict.AGREES, f"the arms agree on all conditions of {name}")
    text = "; ".join(f"{a} {published.claims[a].printed}, {b} {published.claims[b].printed}" for a, b in differing)
    others = tuple(claim_id for pair in differing for claim_id in pair)
    return Finding("unlike", Verdict.NOT_COMPARABLE, f"the arms differ in more than is compared: {text}", others)


def _worked(expression: str, values: Mapping[str, Value], functions: Functions, unit: str | None = None) -> str:
    """An expression, what it is with values, what each function in it comes to, and its value, in `unit` if given."""
    steps = [expression, with_values(expression, values)]
    calls = [f"{call} = {shown(evaluate(call, values, functions).nominal)}" for call in calls_in(expression)]
    if calls:
        steps[-1] += f" [{'; '.join(calls)}]"
    value = evaluate(expression, values, functions).nominal
    steps.append(shown(value if unit is None else quantity(in_unit(value, unit), unit)))
    return " = ".join(dict.fromkeys(steps))


def _truth(expression: str, true: bool, values: Mapping[str, Value], functions: Functions) -> str:
    """A comparison, with values, and of what its two sides come to."""
    steps = [expression, with_values(expression, values)]
    sides = comparison(expression)
    if sides is not None:
        left, right = (shown(evaluate(side, values, functions).nominal) for side in (sides[0], sides[2]))
        steps.append(f"{left} {sides[1]} {right}")
    return f"{': '.join(dict.fromkeys(steps))}: {'true' if true else 'false'}"


def _is_true(result: Result, expression: str) -> bool:
    """Whether it is true anywhere within the roundings."""
    if not all(isinstance(outcome, bool) for outcome in (result.nominal, *result.corners)):
        raise ExpressionError(f"{expression}: expected a comparison, found {shown(result.nominal)}")
    return result.nominal or any(result.corners)


def _numbers(result: Result, unit: str, expression: str) -> tuple[float, float, float]:
    """(least, at the printed values, greatest) in `unit`."""
    try:
        nominal = in_unit(result.nominal, unit)
        ends = [nominal, *(in_unit(corner, unit) for corner in result.corners)]
    except (ValueError, TypeError) as error:
        raise ExpressionError(f"{expression}: {error}") from None
    return min(ends), nominal, max(ends)
