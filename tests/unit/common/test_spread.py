"""Mean and standard deviation over seeds."""

from __future__ import annotations

import pytest

from scripts.common.spread import Spread, spread


def test_several_values_have_a_sample_standard_deviation() -> None:
    assert spread([1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 3)


def test_one_value_has_no_deviation() -> None:
    assert spread([4.0]) == Spread(4.0, None, 1)


@pytest.mark.parametrize("values", [[], [None], [1.0, None]])
def test_an_unknown_value_makes_the_spread_unknown(values: list[float | None]) -> None:
    assert spread(values) is None


def test_a_spread_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values"):
        Spread(1.0, None, 2)
