"""A step's settings: strict, and every complaint names its key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from scripts.common.errors import UserError
from scripts.common.settings import parse_settings


@dataclass(frozen=True)
class Inner:
    rank: int

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, found {self.rank}")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    rate: float
    kind: Literal["a", "b"]
    rows: int | None
    rates: tuple[float | str, ...] = ()
    flag: bool = False


GOOD: dict[str, Any] = {"inner": {"rank": 2}, "rate": 1, "kind": "a", "rows": None, "rates": [1, "inf"]}


def test_builds_nested_settings() -> None:
    assert parse_settings(Outer, json.dumps(GOOD)) == Outer(Inner(2), 1.0, "a", None, (1.0, "inf"), False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rats": 1}, "settings.rats: unknown"),
        ({"rate": "1e-4"}, "settings.rate: expected float, found '1e-4'"),
        ({"rate": True}, "settings.rate: expected float, found True"),
        ({"rows": 1.5}, "settings.rows: expected int, found 1.5"),
        ({"flag": 1}, "settings.flag: expected bool, found 1"),
        ({"kind": "c"}, "settings.kind: expected one of"),
        ({"inner": {"rank": 0}}, "settings.inner: rank must be at least 1"),
        ({"inner": {}}, "settings.inner: missing rank"),
        ({"rates": [None]}, r"settings.rates\[0\]"),
    ],
)
def test_names_the_key_that_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_settings(Outer, json.dumps({**GOOD, **change}))


def test_text_that_is_not_json_is_one_line() -> None:
    with pytest.raises(UserError, match="not JSON"):
        parse_settings(Outer, "{")
