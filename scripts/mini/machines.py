"""Task families of state machines."""

from __future__ import annotations

import random

from scripts.mini.combinational import SINGLES
from scripts.mini.sequential import ALWAYS, RESETS
from scripts.mini.tasks import CLOCK, Port, Task, Values, clocked, constant, vector

EVENTS = (("go", "stop"), ("up", "down"), ("a", "b"))


def two_states(rng: random.Random) -> Task:
    """Two states and an event for each to leave it, events active high or low; the state is the output."""
    initial, leave_low, leave_high = rng.randint(0, 1), rng.randint(0, 1), rng.randint(0, 1)
    (set_event, clear_event), out, rst = rng.choice(EVENTS), rng.choice(("s", "q", "out")), rng.choice(RESETS)
    names = (set_event, clear_event)
    tests = (set_event if leave_low else f"!{set_event}", clear_event if leave_high else f"!{clear_event}")
    text = rng.choice(
        (
            f"State {out}: 0 goes to 1 when {names[0]} is {leave_low}, 1 goes to 0 when {names[1]} is {leave_high}.",
            f"{out} leaves 0 when {names[0]} is {leave_low} and leaves 1 when {names[1]} is {leave_high}.",
        )
    )

    def step(state: int, v: Values) -> int:
        if v[rst]:
            return initial
        leaves = v[names[state]] == (leave_high if state else leave_low)
        return state ^ int(leaves)

    return Task(
        family="two_states",
        key=("two_states", initial, leave_low, leave_high),
        ports=(Port(CLOCK), Port(rst), Port(names[0]), Port(names[1]), Port(out, 1, True, True)),
        description=f"{text} {rst} sets it to {initial}.",
        body=(
            ALWAYS,
            f"  if ({rst}) {out} <= 1'd{initial};",
            f"  else if ({out}) begin if ({tests[1]}) {out} <= 1'd0; end",
            f"  else if ({tests[0]}) {out} <= 1'd1;",
        ),
        reasoning="One bit of state, one test for each value.",
        model=clocked(initial, step, lambda s, v: {out: s}),
        reset=(rst, 1),
    )


def ring(rng: random.Random) -> Task:
    """A cycle through three or four states in a given order."""
    order = rng.sample(range(4), rng.choice((3, 4)))
    order = order[order.index(min(order)) :] + order[: order.index(min(order))]
    start, s, rst = rng.choice(order), rng.choice(("s", "q", "state")), rng.choice(RESETS)
    following = dict(zip(order, order[1:] + order[:1], strict=True))
    moves = ", ".join(f"{state} to {following[state]}" for state in order)
    return Task(
        family="ring",
        key=("ring", *order, "start", start),
        ports=(Port(CLOCK), Port(rst), Port(s, 2, True, True)),
        description=f"State machine: on each clock {s} goes {moves}. {rst} sets it to {start}.",
        body=(
            ALWAYS,
            f"  if ({rst}) {s} <= {constant(2, start)};",
            f"  else case ({s})",
            *(f"    {constant(2, state)}: {s} <= {constant(2, following[state])};" for state in order),
            "  endcase",
        ),
        reasoning="A case with a line for each state.",
        model=clocked(start, lambda state, v: start if v[rst] else following[state], lambda state, v: {s: state}),
        reset=(rst, 1),
    )


def sequence_detector(rng: random.Random) -> Task:
    """Detects a bit pattern in a serial input, overlaps allowed; the history starts as zeros."""
    length = rng.randint(2, 4)
    pattern = rng.randrange(1, 1 << length)
    digits = f"{pattern:0{length}b}"
    d, out, rst = rng.choice(SINGLES), rng.choice(("z", "out", "r")), rng.choice(RESETS)
    text = rng.choice(
        (
            f"{out} is 1 when the last {length} bits clocked in from {d} were {digits}.",
            f"Detect {digits} in the last {length} clocked bits of {d} with {out}.",
        )
    )
    history = (1 << length) - 1
    return Task(
        family="sequence_detector",
        key=("sequence_detector", length, pattern),
        ports=(Port(CLOCK), Port(rst), Port(d), Port(out, 1, True)),
        description=f"{text} {rst} clears them.",
        body=(
            f"reg {vector(length)} h;",
            ALWAYS,
            f"  if ({rst}) h <= {constant(length, 0)};",
            f"  else h <= {{h, {d}}};",
            f"assign {out} = h == {length}'b{digits};",
        ),
        reasoning="The state is the history of the input.",
        model=clocked(
            0, lambda h, v: 0 if v[rst] else (h << 1 | v[d]) & history, lambda h, v: {out: int(h == pattern)}
        ),
        reset=(rst, 1),
    )


def pulse(rng: random.Random) -> Task:
    """A pulse of fixed length after a request."""
    width, last = 4, rng.randint(2, 12)
    req, out, rst = rng.choice(("req", "go", "a")), rng.choice(("busy", "out")), rng.choice(RESETS)
    return Task(
        family="pulse",
        key=("pulse", last),
        ports=(Port(CLOCK), Port(rst), Port(req), Port(out, 1, True)),
        description=f"State machine: {req} at 1 makes {out} 1 for {last} clocks, {req} is ignored meanwhile. "
        f"{rst} ends it.",
        body=(
            f"reg {vector(width)} t;",
            ALWAYS,
            f"  if ({rst}) t <= {constant(width, 0)};",
            f"  else if (t) t <= t - {constant(width, 1)};",
            f"  else if ({req}) t <= {constant(width, last)};",
            f"assign {out} = t != {constant(width, 0)};",
        ),
        reasoning="The state is the number of clocks left.",
        model=clocked(
            0,
            lambda t, v: 0 if v[rst] else (t - 1 if t else last * v[req]),
            lambda t, v: {out: int(t > 0)},
        ),
        reset=(rst, 1),
    )


FAMILIES = (two_states, ring, sequence_detector, pulse)
