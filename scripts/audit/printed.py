"""A number as the paper prints it: what its digits say, and how far off the number behind them may be."""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMBER = re.compile(
    r"(?P<about>~?)[$+]?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<decimals>\.\d+)?(?P<power>e-?\d+)?(?P<thousands>[KkM]?)"
)
THOUSANDS = {"": 1.0, "K": 1e3, "k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class PrintedNumber:
    """`half_width`: the number behind the digits is within value ± half_width; 0 for a count, a setting, a price."""

    value: float
    half_width: float

    def covers(self, number: float) -> bool:
        return abs(number - self.value) <= self.half_width + 1e-12 * abs(self.value)


def parse_printed(text: str, *, exact: bool, about: bool) -> PrintedNumber:
    """Of "5.05M", "~23", "1,443", "1e-4": rounded to its last digit unless `exact`.

    A number that the paper calls approximate (`about`, or ~) may be off by a whole unit of its last digit above zero.
    Raises ValueError for what is no number.
    """
    match = NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"printed {text!r} is not a number as the paper prints them (5.05M, ~23, 1,443, 1e-4)")
    digits, decimals = match["digits"].replace(",", ""), match["decimals"] or ""
    scale = THOUSANDS[match["thousands"]] * float(f"1{match['power'] or ''}")
    value = float(digits + decimals) * scale
    last_digit = 10.0 ** -max(0, len(decimals) - 1) * scale
    if about or match["about"]:
        zeros = 0 if decimals else len(digits) - len(digits.rstrip("0"))
        return PrintedNumber(value, last_digit * 10.0**zeros)
    return PrintedNumber(value, 0.0 if exact else last_digit / 2)


def occurs(text: str, quote: str) -> bool:
    """Whether `quote` has `text` with no further digit or letter run into it."""
    return re.search(rf"(?<![\d.,]){re.escape(text)}(?!\d|[.,]\d)", quote) is not None
