"""A quantity over training seeds: mean, standard deviation and how many."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) of `n` values, in the values' unit; `sd` is None for one value."""

    mean: float
    sd: float | None
    n: int

    def __post_init__(self) -> None:
        if self.n < 1 or (self.sd is None) != (self.n == 1):
            raise ValueError(f"a spread of {self.n} values cannot have sd {self.sd}")


def spread(values: Iterable[float | None]) -> Spread | None:
    """The spread of `values`, or None where there is no value or one of them is unknown."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    if not numbers or len(numbers) < len(known):
        return None
    return Spread(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None, len(numbers))
