"""Task families that compute: sums, differences, products, extremes. All numbers are unsigned."""

from __future__ import annotations

import random
from collections.abc import Callable

from scripts.mini.combinational import OUTPUTS, PAIRS, SELECTS, SINGLES
from scripts.mini.tasks import Port, Task, combinational, constant, mask


def add_subtract(rng: random.Random) -> Task:
    """A sum or a difference, modulo the width."""
    width, subtract = rng.randint(2, 8), rng.randint(0, 1)
    (a, b), out = rng.choice(PAIRS), rng.choice(OUTPUTS)
    if subtract:
        text = rng.choice((f"{out} is {a} minus {b}.", f"Subtract {b} from {a} to give {out}."))
    else:
        text = rng.choice((f"{out} is {a} plus {b}, without carry.", f"Add {a} and {b} to give {out}, without carry."))
    sign = -1 if subtract else 1
    return Task(
        family="add_subtract",
        key=("add_subtract", width, subtract),
        ports=(Port(a, width), Port(b, width), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {a} {'-' if subtract else '+'} {b};",),
        reasoning="The result wraps at the width of the output.",
        model=combinational(lambda v: {out: v[a] + sign * v[b] & mask(width)}),
    )


def add_carry(rng: random.Random) -> Task:
    """A full adder of vectors: the carry is the top bit of the sum, with or without a carry in."""
    width, carry_in = rng.randint(1, 7), rng.randint(0, 1)
    (a, b), out = rng.choice(PAIRS), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is the sum of {a} and {b}", f"Adder: {out} is {a} plus {b}"))
    text += " plus the carry cin, its top bit is the carry out." if carry_in else " with the carry in its top bit."
    return Task(
        family="add_carry",
        key=("add_carry", width, carry_in),
        ports=(Port(a, width), Port(b, width), *([Port("cin")] if carry_in else []), Port(out, width + 1, True)),
        description=text,
        body=(f"assign {out} = {a} + {b}{' + cin' if carry_in else ''};",),
        reasoning="The output is one bit wider, so nothing is lost.",
        model=combinational(lambda v: {out: v[a] + v[b] + v.get("cin", 0)}),
    )


OPERATIONS: dict[str, tuple[str, str, Callable[[int, int], int]]] = {
    "add": ("plus", "+", lambda a, k: a + k),
    "subtract": ("minus", "-", lambda a, k: a - k),
    "multiply": ("times", "*", lambda a, k: a * k),
}


def constant_operand(rng: random.Random) -> Task:
    """A vector and a constant, modulo the width."""
    name = rng.choice(tuple(OPERATIONS))
    word, operator, function = OPERATIONS[name]
    width = rng.randint(4, 8)
    value, a, out = rng.randint(2, 9), rng.choice(SINGLES), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is {a} {word} {value}.", f"Compute {a} {word} {value} on {out}."))
    return Task(
        family="constant_operand",
        key=("constant_operand", name, width, value),
        ports=(Port(a, width), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {a} {operator} {constant(width, value)};",),
        reasoning="The result wraps at the width of the output.",
        model=combinational(lambda v: {out: function(v[a], value) & mask(width)}),
    )


def extreme(rng: random.Random) -> Task:
    """The larger or the smaller of two vectors."""
    width, largest = rng.randint(2, 8), rng.randint(0, 1)
    (a, b), out = rng.choice(PAIRS), rng.choice(OUTPUTS)
    word, operator = (("larger", "maximum"), ">") if largest else (("smaller", "minimum"), "<")
    text = rng.choice((f"{out} is the {word[0]} of {a} and {b}.", f"{out} is the {word[1]} of {a} and {b}."))
    return Task(
        family="extreme",
        key=("extreme", width, largest),
        ports=(Port(a, width), Port(b, width), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {a} {operator} {b} ? {a} : {b};",),
        reasoning="Compare, then choose.",
        model=combinational(lambda v: {out: (max if largest else min)(v[a], v[b])}),
    )


def absolute_difference(rng: random.Random) -> Task:
    """The distance of two vectors."""
    width, (a, b), out = rng.randint(2, 8), rng.choice(PAIRS), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is the distance of {a} and {b}.", f"{out} is the absolute difference of {a} and {b}."))
    return Task(
        family="absolute_difference",
        key=("absolute_difference", width),
        ports=(Port(a, width), Port(b, width), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {a} > {b} ? {a} - {b} : {b} - {a};",),
        reasoning="Subtract the smaller from the larger.",
        model=combinational(lambda v: {out: abs(v[a] - v[b])}),
    )


def multiply(rng: random.Random) -> Task:
    """The full product of two vectors."""
    first, second = rng.randint(2, 4), rng.randint(2, 4)
    (a, b), out = rng.choice(PAIRS), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is the product of {a} and {b}.", f"Multiply {a} by {b} to give {out}."))
    return Task(
        family="multiply",
        key=("multiply", first, second),
        ports=(Port(a, first), Port(b, second), Port(out, first + second, True)),
        description=text,
        body=(f"assign {out} = {a} * {b};",),
        reasoning="The output holds the whole product.",
        model=combinational(lambda v: {out: v[a] * v[b]}),
    )


def add_or_subtract(rng: random.Random) -> Task:
    """A sum or a difference, chosen by an input."""
    width, subtract_on = rng.randint(2, 8), rng.randint(0, 1)
    (a, b), sel, out = rng.choice(PAIRS), rng.choice(SELECTS), rng.choice(OUTPUTS)
    high, low = ("-", "+") if subtract_on else ("+", "-")
    words = {"+": "plus", "-": "minus"}
    return Task(
        family="add_or_subtract",
        key=("add_or_subtract", width, subtract_on),
        ports=(Port(a, width), Port(b, width), Port(sel), Port(out, width, True)),
        description=f"{out} is {a} {words[high]} {b} when {sel} is 1 and {a} {words[low]} {b} otherwise.",
        body=(f"assign {out} = {sel} ? {a} {high} {b} : {a} {low} {b};",),
        reasoning="Two results and a choice.",
        model=combinational(lambda v: {out: v[a] + (-v[b] if v[sel] == subtract_on else v[b]) & mask(width)}),
    )


FAMILIES = (
    add_subtract,
    add_carry,
    constant_operand,
    extreme,
    absolute_difference,
    multiply,
    add_or_subtract,
)
