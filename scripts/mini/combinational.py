"""Task families without a clock: gates, multiplexers, comparators and the handling of bits."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import reduce

from scripts.mini.tasks import Port, Task, combinational, constant, mask

PAIRS = (("a", "b"), ("x", "y"), ("u", "v"), ("p", "q"))
SINGLES = ("a", "x", "d", "data")
OUTPUTS = ("z", "out", "f", "r")
SELECTS = ("sel", "s")

# Name: (word in the prompt, Verilog operator, inverted, function of two integers)
GATES: dict[str, tuple[str, str, bool, Callable[[int, int], int]]] = {
    "and": ("AND", "&", False, lambda a, b: a & b),
    "or": ("OR", "|", False, lambda a, b: a | b),
    "xor": ("XOR", "^", False, lambda a, b: a ^ b),
    "nand": ("NAND", "&", True, lambda a, b: a & b),
    "nor": ("NOR", "|", True, lambda a, b: a | b),
    "xnor": ("XNOR", "^", True, lambda a, b: a ^ b),
}


def gate(rng: random.Random) -> Task:
    """A bitwise gate of two or three vectors."""
    name = rng.choice(tuple(GATES))
    word, operator, inverted, function = GATES[name]
    width, count, out = rng.randint(1, 8), rng.choice((2, 2, 3)), rng.choice(OUTPUTS)
    names = [*rng.choice(PAIRS), "c"][:count]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    text = rng.choice((f"{out} is the {word} of {listed}.", f"Drive {out} with the bitwise {word} of {listed}."))
    joined = f" {operator} ".join(names)
    expression = f"~({joined})" if inverted else joined
    return Task(
        family="gate",
        key=("gate", name, width, count),
        ports=(*(Port(n, width) for n in names), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {expression};",),
        reasoning=f"A {word} gate on every bit: one assign does it.",
        model=combinational(lambda v: {out: reduce(function, (v[n] for n in names)) ^ (mask(width) * inverted)}),
    )


def multiplexer(rng: random.Random) -> Task:
    """Two inputs and a select."""
    width, when_high = rng.randint(1, 8), rng.randint(0, 1)
    (a, b), sel, out = rng.choice(PAIRS), rng.choice(SELECTS), rng.choice(OUTPUTS)
    high, low = (b, a) if when_high else (a, b)
    text = rng.choice(
        (
            f"{out} is {high} when {sel} is 1 and {low} otherwise.",
            f"{sel} chooses: {out} is {low} for 0 and {high} for 1.",
        )
    )
    return Task(
        family="multiplexer",
        key=("multiplexer", width, when_high),
        ports=(Port(a, width), Port(b, width), Port(sel), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {sel} ? {high} : {low};",),
        reasoning="A conditional expression is a multiplexer.",
        model=combinational(lambda v: {out: v[high] if v[sel] else v[low]}),
    )


RELATIONS: dict[str, tuple[str, str, Callable[[int, int], bool]]] = {
    "eq": ("equals", "==", lambda a, b: a == b),
    "ne": ("differs from", "!=", lambda a, b: a != b),
    "lt": ("is less than", "<", lambda a, b: a < b),
    "gt": ("is greater than", ">", lambda a, b: a > b),
    "le": ("is at most", "<=", lambda a, b: a <= b),
    "ge": ("is at least", ">=", lambda a, b: a >= b),
}


def compare_constant(rng: random.Random) -> Task:
    """A comparison with a constant, unsigned."""
    name = rng.choice(tuple(RELATIONS))
    words, operator, function = RELATIONS[name]
    width = rng.randint(2, 4)
    value, a, out = rng.randint(1, mask(width) - 1), rng.choice(SINGLES), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is 1 when {a} {words} {value}.", f"{out} tells whether {a} {words} {value}."))
    return Task(
        family="compare_constant",
        key=("compare_constant", name, width, value),
        ports=(Port(a, width), Port(out, 1, True)),
        description=text,
        body=(f"assign {out} = {a} {operator} {constant(width, value)};",),
        reasoning=f"One comparison with {value}.",
        model=combinational(lambda v: {out: int(function(v[a], value))}),
    )


def compare(rng: random.Random) -> Task:
    """A comparison of two vectors, unsigned."""
    name = rng.choice(tuple(RELATIONS))
    words, operator, function = RELATIONS[name]
    width, (a, b), out = rng.randint(2, 8), rng.choice(PAIRS), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is 1 when {a} {words} {b}.", f"{out} tells whether {a} {words} {b}."))
    return Task(
        family="compare",
        key=("compare", name, width),
        ports=(Port(a, width), Port(b, width), Port(out, 1, True)),
        description=text,
        body=(f"assign {out} = {a} {operator} {b};",),
        reasoning="One comparison, unsigned.",
        model=combinational(lambda v: {out: int(function(v[a], v[b]))}),
    )


def bit_select(rng: random.Random) -> Task:
    """One bit of a vector."""
    width = rng.randint(2, 8)
    index, a, out = rng.randrange(width), rng.choice(SINGLES), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is bit {index} of {a}.", f"Connect bit {index} of {a} to {out}."))
    return Task(
        family="bit_select",
        key=("bit_select", width, index),
        ports=(Port(a, width), Port(out, 1, True)),
        description=text,
        body=(f"assign {out} = {a}[{index}];",),
        reasoning="Index the vector.",
        model=combinational(lambda v: {out: v[a] >> index & 1}),
    )


def slice_bits(rng: random.Random) -> Task:
    """A range of bits of a vector."""
    width = rng.randint(4, 8)
    low = rng.randrange(width - 1)
    high = rng.randint(low + 1, width - 1)
    a, out = rng.choice(SINGLES), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is bits {high} to {low} of {a}.", f"Connect bits {high} to {low} of {a} to {out}."))
    return Task(
        family="slice",
        key=("slice", width, high, low),
        ports=(Port(a, width), Port(out, high - low + 1, True)),
        description=text,
        body=(f"assign {out} = {a}[{high}:{low}];",),
        reasoning="A part select.",
        model=combinational(lambda v: {out: v[a] >> low & mask(high - low + 1)}),
    )


REDUCTIONS: dict[str, tuple[tuple[str, str], str, Callable[[int, int], bool]]] = {
    "and": (("is 1 when all bits of {a} are 1", "tells whether {a} is all ones"), "&", lambda a, w: a == mask(w)),
    "or": (("is 1 when any bit of {a} is 1", "tells whether {a} has a one"), "|", lambda a, w: a != 0),
    "xor": (("is the XOR of all bits of {a}", "is the odd parity of {a}"), "^", lambda a, w: a.bit_count() % 2 == 1),
    "nor": (("is 1 when no bit of {a} is 1", "tells whether {a} is all zeros"), "~|", lambda a, w: a == 0),
}


def reduction(rng: random.Random) -> Task:
    """All bits of a vector into one."""
    name = rng.choice(tuple(REDUCTIONS))
    wordings, operator, function = REDUCTIONS[name]
    width, a, out = rng.randint(2, 8), rng.choice(SINGLES), rng.choice(OUTPUTS)
    return Task(
        family="reduction",
        key=("reduction", name, width),
        ports=(Port(a, width), Port(out, 1, True)),
        description=f"{out} {rng.choice(wordings).format(a=a)}.",
        body=(f"assign {out} = {operator}{a};",),
        reasoning="A reduction operator.",
        model=combinational(lambda v: {out: int(function(v[a], width))}),
    )


def shift_constant(rng: random.Random) -> Task:
    """A logical shift by a constant."""
    width, left = rng.randint(3, 8), rng.randint(0, 1)
    amount, a, out = rng.randint(1, width - 1), rng.choice(SINGLES), rng.choice(OUTPUTS)
    side, operator = ("left", "<<") if left else ("right", ">>")
    text = rng.choice((f"{out} is {a} shifted {side} by {amount}.", f"Shift {a} {side} by {amount} to give {out}."))
    return Task(
        family="shift_constant",
        key=("shift_constant", width, left, amount),
        ports=(Port(a, width), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {a} {operator} {amount};",),
        reasoning="Zeros fill the empty bits, as the shift operator does.",
        model=combinational(lambda v: {out: v[a] << amount & mask(width) if left else v[a] >> amount}),
    )


BIT_CHANGES: dict[str, tuple[str, str, Callable[[int, int], int]]] = {
    "set": ("set to 1", "{a} | ({one} << {k})", lambda a, bit: a | bit),
    "clear": ("set to 0", "{a} & ~({one} << {k})", lambda a, bit: a & ~bit),
    "invert": ("inverted", "{a} ^ ({one} << {k})", lambda a, bit: a ^ bit),
}


def change_bit(rng: random.Random) -> Task:
    """A vector with one bit set, cleared or inverted."""
    name = rng.choice(tuple(BIT_CHANGES))
    words, expression, function = BIT_CHANGES[name]
    width = rng.randint(3, 8)
    index, a, out = rng.randrange(width), rng.choice(SINGLES), rng.choice(OUTPUTS)
    text = rng.choice((f"{out} is {a} with bit {index} {words}.", f"Copy {a} to {out} with bit {index} {words}."))
    return Task(
        family="change_bit",
        key=("change_bit", name, width, index),
        ports=(Port(a, width), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = {expression.format(a=a, one=constant(width, 1), k=index)};",),
        reasoning=f"A one moved to bit {index} is the mask.",
        model=combinational(lambda v: {out: function(v[a], 1 << index)}),
    )


def decoder(rng: random.Random) -> Task:
    """Binary to one-hot, with or without an enable, active high or low."""
    bits, enabled, active_low = rng.randint(1, 3), rng.randint(0, 1), rng.randint(0, 1)
    width, sel, out = 1 << bits, rng.choice(SELECTS), rng.choice(OUTPUTS)
    hot = f"{constant(width, 1)} << {sel}"
    expression = f"en ? {hot} : {constant(width, 0)}" if enabled else hot
    text = f"Decoder: bit {sel} of {out} is {1 - active_low}, the others are {active_low}."
    if enabled:
        text += f" When en is 0 all are {active_low}."
    return Task(
        family="decoder",
        key=("decoder", bits, enabled, active_low),
        ports=(Port(sel, bits), *([Port("en")] if enabled else []), Port(out, width, True)),
        description=text,
        body=(f"assign {out} = ~({expression});" if active_low else f"assign {out} = {expression};",),
        reasoning="Shift a one to the selected place.",
        model=combinational(
            lambda v: {out: (v.get("en", 1) << v[sel]) ^ (mask(width) * active_low)},
        ),
    )


def extend(rng: random.Random) -> Task:
    """A vector made wider, by zeros or by its sign."""
    width, extra, signed = rng.randint(2, 5), rng.randint(1, 3), rng.randint(0, 1)
    a, out = rng.choice(SINGLES), rng.choice(OUTPUTS)
    word = "sign" if signed else "zero"
    text = rng.choice((f"{out} is {a} {word} extended.", f"Extend {a} to the width of {out}, {word} extension."))
    fill = f"{{{extra}{{{a}[{width - 1}]}}}}" if signed else constant(extra, 0)

    def widened(value: int) -> int:
        sign = signed * (value >> (width - 1))
        return value | sign * mask(extra) << width

    return Task(
        family="extend",
        key=("extend", width, extra, signed),
        ports=(Port(a, width), Port(out, width + extra, True)),
        description=text,
        body=(f"assign {out} = {{{fill}, {a}}};",),
        reasoning=f"{extra} more bits in front.",
        model=combinational(lambda v: {out: widened(v[a])}),
    )


def concatenate(rng: random.Random) -> Task:
    """Two vectors side by side, in either order."""
    first, second, swapped = rng.randint(1, 4), rng.randint(1, 4), rng.randint(0, 1)
    (a, b), out = rng.choice(PAIRS), rng.choice(OUTPUTS)
    upper, lower = (b, a) if swapped else (a, b)
    lower_width = first if swapped else second
    text = rng.choice(
        (
            f"{out} holds {upper} in its upper bits and {lower} in its lower bits.",
            f"Join {upper} (upper part) and {lower} (lower part) to {out}.",
        )
    )
    return Task(
        family="concatenate",
        key=("concatenate", first, second, swapped),
        ports=(Port(a, first), Port(b, second), Port(out, first + second, True)),
        description=text,
        body=(f"assign {out} = {{{upper}, {lower}}};",),
        reasoning="A concatenation, upper part first.",
        model=combinational(lambda v: {out: v[upper] << lower_width | v[lower]}),
    )


def lookup(rng: random.Random) -> Task:
    """A table of 16 entries: a right answer, but longer than the mini run's sequence limit."""
    table = [rng.randrange(16) for _ in range(16)]
    sel, out = rng.choice(SELECTS), rng.choice(OUTPUTS)
    entries = ", ".join(map(str, table))
    cases = [f"  {constant(4, index)}: {out} = {constant(4, value)};" for index, value in enumerate(table)]
    return Task(
        family="lookup",
        key=("lookup", *table),
        ports=(Port(sel, 4), Port(out, 4, True, True)),
        description=f"{out} is entry {sel} of the table {entries}.",
        body=("always @(*)", f"case ({sel})", *cases, "endcase"),
        reasoning="A case with 16 entries.",
        model=combinational(lambda v: {out: table[v[sel]]}),
    )


FAMILIES = (
    gate,
    multiplexer,
    compare_constant,
    compare,
    bit_select,
    slice_bits,
    reduction,
    shift_constant,
    change_bit,
    decoder,
    extend,
    concatenate,
)
