"""Communication of a compiled module, read from its text: which collectives, how often, how many bytes.

The text is XLA's HLO after partitioning, in which shapes are of one chip. A loop's body counts as often as the loop
runs, where the compiler says how often that is.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

_BYTES = {
    "pred": 1, "s4": 0.5, "u4": 0.5, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "s64": 8, "u64": 8,
    "f16": 2, "bf16": 2, "f32": 4, "f64": 8, "f8e4m3fn": 1, "f8e5m2": 1, "c64": 8,
}  # fmt: skip
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?[\w.\-]+ = (?P<shape>\(.*?\)|\S+) (?P<op>[a-z][\w\-]*)\(")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition|branch_computations)=\{?((?:%[\w.\-]+(?:, )?)+)\}?")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")


@dataclass(frozen=True)
class Collective:
    """All collectives of one kind over groups of `group_size` chips, of one chip in one step.

    `tensor_bytes` are those of the whole tensor (before a reduce-scatter, after an all-gather), `wire_bytes` what a
    chip has to send at least.
    """

    kind: str
    group_size: int
    count: int
    tensor_bytes: float
    wire_bytes: float


@dataclass(frozen=True)
class ModuleCollectives:
    """`loops_of_unknown_length`: loops whose body could only be counted once."""

    collectives: tuple[Collective, ...]
    loops: int
    loops_of_unknown_length: int


def wire_bytes(kind: str, group_size: int, tensor_bytes: float) -> float:
    """Bytes that a chip sends at least, in the bandwidth-optimal algorithm of each collective.

    Source: Chan et al., "Collective communication: theory, practice, and experience" (2007), table of lower bounds.
    """
    share = (group_size - 1) / group_size
    if kind == "all-reduce":
        return 2 * share * tensor_bytes
    return tensor_bytes if kind == "collective-permute" else share * tensor_bytes


def read_collectives(text: str) -> ModuleCollectives:
    """The collectives of a compiled module, `Compiled.as_text()`."""
    computations, entry = _computations(text)
    totals: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0, 0.0])
    loops = unknown = 0
    for name, times in _executions(computations, entry):
        for line in computations[name]:
            match = _INSTRUCTION.match(line)
            if match is None:
                continue
            if match["op"] == "while":
                loops += 1
                unknown += _TRIPS.search(line) is None
            kind = match["op"].removesuffix("-start")
            if kind not in KINDS:
                continue
            size = _tensor_bytes(match["shape"], match["op"])
            group = _group_size(line)
            if kind == "reduce-scatter":
                size *= group
            # TPU's own reduce-scatter is an all-reduce fused with the slice that each chip keeps.
            if name.startswith("all-reduce-scatter"):
                kind = "reduce-scatter"
            totals[kind, group][0] += times
            totals[kind, group][1] += times * size
    found = [
        Collective(kind, group, int(count), size, wire_bytes(kind, group, size))
        for (kind, group), (count, size) in sorted(totals.items())
    ]
    return ModuleCollectives(tuple(found), loops, unknown)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines of each computation by name, and the name of the entry."""
    computations: dict[str, list[str]] = {}
    name, entry = None, ""
    for line in text.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            name = header[1]
            computations[name] = []
            if line.startswith("ENTRY"):
                entry = name
        elif line.startswith("}"):
            name = None
        elif name is not None:
            computations[name].append(line)
    if not entry:
        raise ValueError("the module's text has no ENTRY computation")
    return computations, entry


def _executions(computations: dict[str, list[str]], entry: str) -> Iterator[tuple[str, int]]:
    """Every call of a computation that runs, with how often. Of a conditional every branch counts: an upper bound."""
    waiting = [(entry, 1)]
    while waiting:
        name, times = waiting.pop()
        yield name, times
        for line in computations[name]:
            match = _INSTRUCTION.match(line)
            trips = 1
            if match is not None and match["op"] == "while":
                known = _TRIPS.search(line)
                trips = int(known[1]) if known else 1
            for called in _CALLED.findall(line):
                for callee in re.findall(r"%([\w.\-]+)", called):
                    if callee in computations:
                        waiting.append((callee, times * trips))


def _tensor_bytes(shape: str, op: str) -> float:
    """Bytes of the whole tensor. A started collective lists operands, then results (then flags)."""
    sizes = [_BYTES[kind] * math.prod(int(n) for n in dims.split(",") if n) for kind, dims in _SHAPE.findall(shape)]
    if op == "all-reduce-start" or not op.endswith("-start"):
        return sum(sizes)
    return max(sizes)


def _group_size(line: str) -> int:
    """Chips that take part together, from any of the ways in which XLA writes groups."""
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return listed[1].count(",") + 1
    if iota := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(iota[1])
    if mesh := re.search(r"replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}", line):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'([^']+)'", mesh[2]))
    return 2
