"""Formulas of claims: evaluated by simpleeval over pint quantities, at the printed values and over their roundings.

No function but the given ones can be called, no attribute read.
"""

from __future__ import annotations

import ast
import itertools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pint
import simpleeval

from scripts.common.units import UNITS, quantity, shown

# simpleeval's own guards against huge results look for len(), which a quantity has only in part.
OPERATORS = {
    **simpleeval.DEFAULT_OPERATORS,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
MOST_ROUNDED_NAMES = 8


class ExpressionError(ValueError):
    """An expression that cannot be evaluated: a name that is not there, units that do not fit."""


@dataclass(frozen=True)
class Value:
    """What a name stands for: a word, or a quantity with half the width of its rounding in the same unit."""

    nominal: Any
    half_width: float = 0.0

    @property
    def ends(self) -> tuple[Any, ...]:
        if not self.half_width:
            return (self.nominal,)
        half = UNITS.Quantity(self.half_width, self.nominal.units)
        return (self.nominal - half, self.nominal + half)


@dataclass(frozen=True)
class Result:
    """`nominal` from the printed values. `corners`: from every combination of the ends of their roundings; an
    expression that is monotone in each of its names has its least and its greatest value among them."""

    nominal: Any
    corners: tuple[Any, ...]


def names_in(expression: str) -> list[str]:
    """Names that an expression reads, without the functions that it calls, in order."""
    tree = _parsed(expression)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(name for name in names if name not in called))


def functions_in(expression: str) -> set[str]:
    """Functions that an expression calls."""
    calls = (node.func for node in ast.walk(_parsed(expression)) if isinstance(node, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)}


def calls_in(expression: str) -> list[str]:
    """Calls of functions in an expression, as text; not of `Q`, and not the call that the whole expression is."""
    tree = _parsed(expression)
    calls = [node for node in ast.walk(tree.body) if isinstance(node, ast.Call) and node is not tree.body]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id != "Q"]
    return list(dict.fromkeys(ast.get_source_segment(expression, call) or "" for call in named))


def comparison(expression: str) -> tuple[str, str, str] | None:
    """(left side, sign, right side) of an expression that compares two things; None of another."""
    body = _parsed(expression).body
    if not isinstance(body, ast.Compare) or len(body.ops) != 1:
        return None
    left, right = (ast.get_source_segment(expression, side) or "" for side in (body.left, body.comparators[0]))
    return left, SIGNS[type(body.ops[0])], right


def evaluate(expression: str, values: Mapping[str, Value], functions: Mapping[str, Callable[..., Any]]) -> Result:
    """The expression at the printed values and at all corners. Raises ExpressionError."""
    names = names_in(expression)
    if unknown := [name for name in names if name not in values]:
        raise ExpressionError(f"{expression}: {', '.join(unknown)} is no claim and no evidence")
    rounded = [name for name in names if values[name].half_width]
    if len(rounded) > MOST_ROUNDED_NAMES:
        raise ExpressionError(f"{expression}: more than {MOST_ROUNDED_NAMES} rounded values in one expression")
    nominal = {name: values[name].nominal for name in names}
    corners = [
        _once(expression, nominal | dict(zip(rounded, ends, strict=True)), functions)
        for ends in itertools.product(*(values[name].ends for name in rounded))
    ]
    return Result(_once(expression, nominal, functions), tuple(corners))


def with_values(expression: str, values: Mapping[str, Value]) -> str:
    """The expression with each name's value in its place."""
    words = re.split(r"(\"[^\"]*\"|'[^']*')", expression)  # text constants stay as they are
    names = set(names_in(expression))

    def value(match: re.Match[str]) -> str:
        return shown(values[match[0]].nominal) if match[0] in names else match[0]

    return "".join(word if i % 2 else re.sub(r"\b[A-Za-z_]\w*", value, word) for i, word in enumerate(words))


def _once(expression: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    evaluator = simpleeval.SimpleEval(operators=OPERATORS, functions={**functions, "Q": quantity}, names=dict(names))
    evaluator.nodes.pop(ast.Attribute)
    try:
        return evaluator.eval(expression)
    except (simpleeval.InvalidExpression, pint.errors.PintError, TypeError, ValueError, ArithmeticError) as error:
        raise ExpressionError(f"{expression}: {error}") from None


def _parsed(expression: str) -> ast.Expression:
    try:
        return ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"{expression}: {error.msg}") from None
