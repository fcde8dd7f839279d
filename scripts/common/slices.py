"""TPU slices by name: generation, chips, hosts, and the topology that the compiler knows them by.

Sources: Google Cloud documentation, pages "TPU v5p" and "TPU v6e" (2026-11). `v5p-N` counts TensorCores, two a chip;
`v6e-N` counts chips. A v5p host has four chips. One v6e host has eight, as a whole machine for slices of up to eight;
larger slices are made of machines with four.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.common.errors import UserError

_V5P_CHIPS_PER_HOST = 4
_V6E_CHIPS_PER_HOST = 4
_V6E_CHIPS_OF_ONE_HOST = 8
# Number in the name -> chips along each axis.
_TOPOLOGIES: dict[str, dict[int, tuple[int, ...]]] = {
    "v5p": {8: (2, 2, 1), 16: (2, 2, 2), 32: (2, 2, 4), 64: (2, 4, 4), 128: (4, 4, 4), 256: (4, 4, 8)},
    "v6e": {1: (1, 1), 4: (2, 2), 8: (2, 4), 16: (4, 4), 32: (4, 8), 64: (8, 8), 128: (8, 16), 256: (16, 16)},
}
# Axes of at least so many chips close to a ring: any v5p axis of whole 4x4x4 cubes, v6e's at 16.
_RING_LENGTH = {"v5p": 4, "v6e": 16}


@dataclass(frozen=True)
class Slice:
    """A slice: `shape` is its chips along each axis, `hosts` the machines that drive it."""

    name: str
    generation: str
    shape: tuple[int, ...]
    hosts: int

    @property
    def chips(self) -> int:
        """Chips, each one JAX device: the two TensorCores of a v5p chip work as one."""
        product = 1
        for length in self.shape:
            product *= length
        return product

    @property
    def topology(self) -> str:
        """The name by which libtpu describes it, such as `v5p:2x2x1`."""
        return f"{self.generation}:{'x'.join(map(str, self.shape))}"

    def links_per_chip(self) -> int:
        """Links that a chip inside the slice can send on at once: an axis of one chip has none, of two one, of more
        two. A chip at the edge of an axis that is no ring has one: this is the most that any chip has."""
        return sum(0 if length == 1 else 1 if length == 2 else 2 for length in self.shape)

    @property
    def is_torus(self) -> bool:
        """Whether every axis closes to a ring."""
        return all(length >= _RING_LENGTH[self.generation] for length in self.shape)


def known_slices(generation: str | None = None) -> list[str]:
    """Names of the slices described here, by size."""
    kinds = [generation] if generation else list(_TOPOLOGIES)
    return [f"{kind}-{number}" for kind in kinds for number in _TOPOLOGIES[kind]]


def parse_slice(name: str) -> Slice:
    """The slice of a name such as `v5p-8`. Raises UserError for a name that is not one of `known_slices`."""
    match = re.fullmatch(r"([a-z0-9]+)-(\d+)", name)
    generation = match[1] if match else ""
    if match is None or generation not in _TOPOLOGIES:
        raise UserError(f"slice {name!r}: unknown; known: {', '.join(known_slices())}")
    number = int(match[2])
    if number not in _TOPOLOGIES[generation]:
        counts = "TensorCores, two a chip" if generation == "v5p" else "chips"
        raise UserError(f"slice {name!r}: unknown ({generation} counts {counts}); known: "
                        f"{', '.join(known_slices(generation))}")  # fmt: skip
    shape = _TOPOLOGIES[generation][number]
    chips = Slice(name, generation, shape, 1).chips
    if generation == "v5p":
        return Slice(name, generation, shape, chips // _V5P_CHIPS_PER_HOST)
    return Slice(name, generation, shape, 1 if chips <= _V6E_CHIPS_OF_ONE_HOST else chips // _V6E_CHIPS_PER_HOST)
