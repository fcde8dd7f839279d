"""Task families with a clock: registers, counters, shift registers, edges, delays, accumulators."""

from __future__ import annotations

import itertools
import random

from scripts.mini.combinational import SINGLES
from scripts.mini.tasks import CLOCK, Port, Task, Values, clocked, constant, mask, vector

STATES = ("q", "out", "r", "cnt")
RESETS = ("rst", "reset")
ENABLES = ("en", "we")
ALWAYS = f"always @(posedge {CLOCK})"


def register(rng: random.Random) -> Task:
    """A register, with or without reset (synchronous or asynchronous) and enable."""
    width, kind, enabled = rng.randint(1, 8), rng.choice(("none", "sync", "async")), rng.randint(0, 1)
    d, q = rng.choice(SINGLES), rng.choice(STATES[:3])
    rst, en = rng.choice(RESETS), rng.choice(ENABLES)
    update = f"if ({en}) {q} <= {d};" if enabled else f"{q} <= {d};"
    text = f"{q} takes {d} on the rising edge of clk" + (f" when {en} is 1." if enabled else ".")
    ports = [Port(CLOCK)]
    if kind == "none":
        body: tuple[str, ...] = (ALWAYS, f"  {update}")
    else:
        ports.append(Port(rst))
        text += f" {rst} sets it to 0, {'at once' if kind == 'async' else 'on the edge'}."
        event = f"always @(posedge {CLOCK} or posedge {rst})" if kind == "async" else ALWAYS
        body = (event, f"  if ({rst}) {q} <= {constant(width, 0)};", f"  else {update}")
    ports += [Port(en)] if enabled else []

    def step(state: int, v: Values) -> int:
        if v.get(rst):
            return 0
        return v[d] if v.get(en, 1) else state

    return Task(
        family="register",
        key=("register", width, kind, enabled),
        ports=(*ports, Port(d, width), Port(q, width, True, True)),
        description=text,
        body=body,
        reasoning="A clocked always block with non-blocking assignments.",
        model=clocked(0, step, lambda s, v: {q: 0 if kind == "async" and v[rst] else s}),
        # Without a reset the first enabled edge sets the state: the check holds the enable in the first cycle.
        reset=(rst, 1) if kind != "none" else ((en, 1) if enabled else None),
    )


def counter(rng: random.Random) -> Task:
    """A counter up or down, with or without an enable."""
    width, down, enabled = rng.randint(2, 8), rng.randint(0, 1), rng.randint(0, 1)
    q, rst, en = rng.choice(STATES), rng.choice(RESETS), rng.choice(ENABLES)
    word, operator, delta = ("down", "-", -1) if down else ("up", "+", 1)
    change = f"{q} <= {q} {operator} {constant(width, 1)};"
    text = rng.choice((f"{q} counts {word} by 1 on every clock", f"Counter: {q} goes {word} by 1 on the clock"))
    text += f" while {en} is 1. {rst} sets it to 0." if enabled else f". {rst} sets it to 0."
    return Task(
        family="counter",
        key=("counter", width, down, enabled),
        ports=(Port(CLOCK), Port(rst), *([Port(en)] if enabled else []), Port(q, width, True, True)),
        description=text,
        body=(
            ALWAYS,
            f"  if ({rst}) {q} <= {constant(width, 0)};",
            f"  else if ({en}) {change}" if enabled else f"  else {change}",
        ),
        reasoning=f"A register that goes {word}, with a synchronous reset.",
        model=clocked(0, lambda s, v: 0 if v[rst] else s + delta * v.get(en, 1) & mask(width), lambda s, v: {q: s}),
        reset=(rst, 1),
    )


def modulo_counter(rng: random.Random) -> Task:
    """A counter that wraps after a given last value."""
    width, last = 4, rng.randint(2, 14)
    start, q, rst = rng.choice((0, 0, 1)), rng.choice(STATES), rng.choice(RESETS)
    text = rng.choice(
        (
            f"{q} counts from {start} to {last} and starts again.",
            f"Counter: {q} goes up by 1; after {last} comes {start}.",
        )
    )
    return Task(
        family="modulo_counter",
        key=("modulo_counter", last, start),
        ports=(Port(CLOCK), Port(rst), Port(q, width, True, True)),
        description=f"{text} {rst} sets it to {start}.",
        body=(
            ALWAYS,
            f"  if ({rst} || {q} == {constant(width, last)}) {q} <= {constant(width, start)};",
            f"  else {q} <= {q} + {constant(width, 1)};",
        ),
        reasoning=f"Back to {start} at the last value, {last}.",
        model=clocked(start, lambda s, v: start if v[rst] or s == last else s + 1, lambda s, v: {q: s}),
        reset=(rst, 1),
    )


def shift_register(rng: random.Random) -> Task:
    """Serial in, parallel out, to the left or to the right, with or without an enable."""
    width, right, enabled = rng.randint(3, 8), rng.randint(0, 1), rng.randint(0, 1)
    d, q = rng.choice(SINGLES), rng.choice(STATES[:3])
    rst, en = rng.choice(RESETS), rng.choice(ENABLES)
    if right:
        side, shifted = "right, top bit", f"{{{d}, {q}[{width - 1}:1]}}"
    else:
        side, shifted = "left, low bit", f"{{{q}[{width - 2}:0], {d}}}"
    text = f"Shift register: {q} shifts {side} from {d}" + (f", while {en} is 1." if enabled else ".")

    def step(state: int, v: Values) -> int:
        if v[rst]:
            return 0
        if not v.get(en, 1):
            return state
        return state >> 1 | v[d] << (width - 1) if right else (state << 1 | v[d]) & mask(width)

    return Task(
        family="shift_register",
        key=("shift_register", width, right, enabled),
        ports=(Port(CLOCK), Port(rst), *([Port(en)] if enabled else []), Port(d), Port(q, width, True, True)),
        description=f"{text} {rst} clears it.",
        body=(
            ALWAYS,
            f"  if ({rst}) {q} <= {constant(width, 0)};",
            f"  else if ({en}) {q} <= {shifted};" if enabled else f"  else {q} <= {shifted};",
        ),
        reasoning="A concatenation moves all bits by one.",
        model=clocked(0, step, lambda s, v: {q: s}),
        reset=(rst, 1),
    )


EDGES = {
    "rise": ("rose", "{d} & ~p", lambda now, before: now & ~before),
    "fall": ("fell", "~{d} & p", lambda now, before: ~now & before),
    "any": ("changed", "{d} ^ p", lambda now, before: now ^ before),
}


def edge(rng: random.Random) -> Task:
    """Which bits differ from their value at the last clock."""
    name, width = rng.choice(tuple(EDGES)), rng.randint(1, 8)
    word, expression, function = EDGES[name]
    d, out = rng.choice(SINGLES), rng.choice(("z", "out", "r"))
    subject = f"the bits of {d}" if width > 1 else d
    return Task(
        family="edge",
        key=("edge", name, width),
        ports=(Port(CLOCK), Port(d, width), Port(out, width, True)),
        description=f"{out} is 1 where {subject} {word} since the last rising edge of clk.",
        body=(
            f"reg {vector(width)} p;" if width > 1 else "reg p;",
            f"{ALWAYS} p <= {d};",
            f"assign {out} = {expression.format(d=d)};",
        ),
        reasoning="Keep the last value and compare.",
        model=clocked(0, lambda s, v: v[d], lambda s, v: {out: function(v[d], s) & mask(width)}),
    )


def toggle(rng: random.Random) -> Task:
    """A vector that inverts on each enabled clock."""
    width, initial = rng.randint(1, 6), rng.randint(0, 1)
    q, rst, t = rng.choice(STATES[:3]), rng.choice(RESETS), rng.choice(("t", "en"))
    value = initial * mask(width)
    text = rng.choice((f"{q} inverts on the clock while {t} is 1.", f"On each clock with {t} at 1, {q} inverts."))
    return Task(
        family="toggle",
        key=("toggle", width, initial),
        ports=(Port(CLOCK), Port(rst), Port(t), Port(q, width, True, True)),
        description=f"{text} {rst} sets it to {value}.",
        body=(ALWAYS, f"  if ({rst}) {q} <= {constant(width, value)};", f"  else if ({t}) {q} <= ~{q};"),
        reasoning="A register that is fed with its inverse.",
        model=clocked(value, lambda s, v: value if v[rst] else (s ^ mask(width) if v[t] else s), lambda s, v: {q: s}),
        reset=(rst, 1),
    )


def delay(rng: random.Random) -> Task:
    """A vector some clocks later."""
    width, clocks = rng.randint(1, 8), rng.randint(1, 3)
    d, q = rng.choice(SINGLES), rng.choice(("q", "out"))
    stages = [d, *(f"r{index}" for index in range(1, clocks)), q]
    middle = ", ".join(stages[1:-1])
    size = f"{vector(width)} " if width > 1 else ""
    moves = " ".join(f"{to} <= {source};" for source, to in itertools.pairwise(stages))
    body = [ALWAYS, f"  begin {moves} end" if clocks > 1 else f"  {moves}"]
    unit = "clock" if clocks == 1 else "clocks"
    text = rng.choice((f"{q} is {d} delayed by {clocks} {unit}.", f"{q} repeats {d} {clocks} {unit} later."))
    return Task(
        family="delay",
        key=("delay", width, clocks),
        ports=(Port(CLOCK), Port(d, width), Port(q, width, True, True)),
        description=text,
        body=(*([f"reg {size}{middle};"] if middle else []), *body),
        reasoning=f"{clocks} registers in a row.",
        model=clocked((0,) * clocks, lambda s, v: (v[d], *s[:-1]), lambda s, v: {q: s[-1]}, unknown_cycles=clocks),
    )


def accumulator(rng: random.Random) -> Task:
    """A running sum, XOR or OR."""
    width, name = rng.randint(2, 8), rng.choice(("sum", "XOR", "OR"))
    operator = {"sum": "+", "XOR": "^", "OR": "|"}[name]
    d, q, rst = rng.choice(SINGLES), rng.choice(STATES[:3]), rng.choice(RESETS)
    text = rng.choice((f"{q} is the running {name} of {d} on each clock.", f"{q} collects the {name} of all {d}."))

    def step(state: int, v: Values) -> int:
        if v[rst]:
            return 0
        return {"sum": state + v[d], "XOR": state ^ v[d], "OR": state | v[d]}[name] & mask(width)

    return Task(
        family="accumulator",
        key=("accumulator", width, name),
        ports=(Port(CLOCK), Port(rst), Port(d, width), Port(q, width, True, True)),
        description=f"{text} {rst} sets it to 0.",
        body=(ALWAYS, f"  if ({rst}) {q} <= {constant(width, 0)};", f"  else {q} <= {q} {operator} {d};"),
        reasoning="The register is one operand.",
        model=clocked(0, step, lambda s, v: {q: s}),
        reset=(rst, 1),
    )


FAMILIES = (register, counter, modulo_counter, shift_register, edge, toggle, delay, accumulator)
