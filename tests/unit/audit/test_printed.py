"""What a printed number says of the number behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.audit.printed import occurs, parse_printed


@pytest.mark.parametrize(
    ("text", "value", "half_width"),
    [
        ("1,443", 1443, 0.5),
        ("23.6", 23.6, 0.05),
        ("0.6410", 0.641, 0.00005),
        ("5.05M", 5.05e6, 5e3),
        ("16k", 16000, 500),
        ("10K", 10000, 500),
        ("1e-4", 1e-4, 5e-5),
        ("~23", 23, 1),
        ("~355", 355, 1),
        ("~900", 900, 100),
    ],
)
def test_value_and_rounding(text: str, value: float, half_width: float) -> None:
    number = parse_printed(text, exact=False, about=False)
    assert (number.value, number.half_width) == (pytest.approx(value), pytest.approx(half_width))


@given(st.floats(0.01, 1e5), st.integers(0, 5))
def test_a_number_is_covered_by_its_own_rounding(number: float, decimals: int) -> None:
    printed = parse_printed(f"{number:,.{decimals}f}", exact=False, about=False)
    assert printed.covers(number)
    assert not printed.covers(number + 10.0**-decimals * 1.01)


def test_what_is_exact_has_no_rounding() -> None:
    assert parse_printed("1,244", exact=True, about=False).half_width == 0
    assert not parse_printed("1,244", exact=True, about=False).covers(1244.01)


@pytest.mark.parametrize("text", ["", "three", "1.2.3", "12 h", "1,23", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_printed(text, exact=False, about=False)


def test_a_number_stands_in_a_quote_as_a_whole() -> None:
    assert occurs("443", "took 443 ms")
    assert not occurs("443", "took 1,443 ms")
    assert not occurs("1.6", "1.61 faster")
    assert occurs("10K", "over 10K samples")
