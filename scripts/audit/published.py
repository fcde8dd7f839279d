"""resources/paper/published.yaml and the files it names, read strictly into claims.

A claim is one number or word of the paper: where it stands, how it is printed, and what it can be checked against.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from scripts.audit.printed import PrintedNumber, occurs, parse_printed
from scripts.common.errors import UserError
from scripts.common.settings import parse_settings
from scripts.common.units import quantity

SETTINGS_PATH = "settings"  # how parse_settings begins the path of what it complains about


@dataclass(frozen=True)
class Claim:
    """As in the file. `printed` is a number where there is a `unit`, else a word; a claim without `printed` is what
    the quote says as a whole.

    formula: expressions that should give the value. same_as: claims that state the same. holds: an expression that
    must be true. at_least, at_most, possible_if: bounds of physics or of the paper's own protocol. shows: expressions
    whose values help a reader and decide nothing. unlike: a list of conditions on which the arms must agree. missing:
    why it cannot be checked. about: the paper says "about". exact: a count, a setting or a price, with no rounding.
    why: what a reader should know of the check.
    """

    printed: str | None = None
    unit: str | None = None
    exact: bool = False
    about: bool = False
    formula: tuple[str, ...] = ()
    same_as: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    at_least: tuple[str, ...] = ()
    at_most: tuple[str, ...] = ()
    possible_if: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    unlike: str | None = None
    missing: str | None = None
    why: str | None = None

    def __post_init__(self) -> None:
        if self.unit is not None:
            if self.printed is None:
                raise ValueError("a unit without printed")
            quantity(self.number.value, self.unit)
        elif self.exact or self.about or self.at_least or self.at_most:
            raise ValueError("exact, about, at_least and at_most are of numbers, which have a unit")
        if self.printed is None and (self.formula or self.same_as):
            raise ValueError("formula and same_as give a value: printed is missing")
        decides = self.formula or self.same_as or self.holds
        if not decides and self.missing is None:
            raise ValueError("nothing to check it against (formula, same_as, holds), and missing does not say why")

    @cached_property
    def number(self) -> PrintedNumber:
        """Of a claim with a unit. Raises ValueError where it is no number."""
        return parse_printed(str(self.printed), exact=self.exact, about=self.about)

    @property
    def expressions(self) -> tuple[str, ...]:
        return (*self.formula, *self.holds, *self.at_least, *self.at_most, *self.possible_if, *self.shows)


@dataclass(frozen=True)
class Statement:
    """A piece of the paper, word for word, and the claims in it. `names`: numbers in it that are part of a name, or
    that say which case the claims are of."""

    place: str
    quote: str
    claims: dict[str, Claim]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for claim_id, claim in self.claims.items():
            if claim.printed is not None and not occurs(claim.printed, self.quote):
                raise ValueError(f"claims.{claim_id}: printed {claim.printed!r} is not in the quote {self.quote!r}")


@dataclass(frozen=True)
class Section:
    """One file: a section of the paper."""

    section: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Evidence:
    """A quantity from elsewhere that claims are checked against."""

    value: float | str
    source: str
    unit: str | None = None


@dataclass(frozen=True)
class Header:
    """published.yaml. conditions: pairs of claims, one an arm, that must agree for a comparison. alternatives: parts
    of ids that stand for one case each; where a formula differs, the other cases are tried."""

    title: str
    files: tuple[str, ...]
    missing: dict[str, str]
    conditions: dict[str, tuple[tuple[str, ...], ...]]
    alternatives: tuple[tuple[str, ...], ...]
    evidence: dict[str, Evidence]
    without_claims: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """The whole transcription. `statements` in the paper's order; `claims` by id, each with its statement."""

    header: Header
    sections: tuple[Section, ...]
    claims: dict[str, Claim] = field(default_factory=dict)
    statement_of: dict[str, Statement] = field(default_factory=dict)

    def value(self, claim_id: str) -> Any:
        """The claim's value: a pint quantity, or a word."""
        claim = self.claims[claim_id]
        return quantity(claim.number.value, claim.unit) if claim.unit else claim.printed


def load_published(path: Path) -> Published:
    """`path` and the files that it names, checked as a whole. Raises UserError: one line with file, key and problem."""
    header = _read(path, Header)
    sections = tuple(_read(path.parent / name, Section) for name in header.files)
    return assemble(header, sections)


def assemble(header: Header, sections: tuple[Section, ...]) -> Published:
    """Claims by id; ids are names, each is used once, and what a claim refers to by name is there."""
    claims: dict[str, Claim] = {}
    statement_of: dict[str, Statement] = {}
    for statement in (statement for section in sections for statement in section.statements):
        for claim_id, claim in statement.claims.items():
            if not claim_id.isidentifier() or keyword.iskeyword(claim_id):
                raise UserError(f"claim {claim_id!r}: an id is letters, digits and _, and begins with a letter")
            if claim_id in claims or claim_id in header.evidence:
                raise UserError(f"claim {claim_id}: there is another of this id")
            claims[claim_id], statement_of[claim_id] = claim, statement
    for claim_id, claim in claims.items():
        for other in claim.same_as:
            if other not in claims or other == claim_id:
                raise UserError(f"claim {claim_id}: same_as names {other!r}, which is no other claim")
        if claim.missing is not None and claim.missing not in header.missing:
            raise UserError(f"claim {claim_id}: missing is {claim.missing!r}, expected one of {list(header.missing)}")
        if claim.unlike is not None and claim.unlike not in header.conditions:
            raise UserError(f"claim {claim_id}: unlike is {claim.unlike!r}, expected one of {list(header.conditions)}")
    for name, pairs in header.conditions.items():
        for pair in pairs:
            if len(pair) != 2 or not set(pair) <= claims.keys():
                raise UserError(f"conditions.{name}: {list(pair)} are not the ids of two claims")
    return Published(header, sections, claims, statement_of)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]  # type: ignore[no-untyped-call]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _read(path: Path, cls: Any) -> Any:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML ({error})") from None
    try:
        return parse_settings(cls, json.dumps(_with_lists(content)))
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix(SETTINGS_PATH).lstrip('.: ')}") from None


def _with_lists(content: Any) -> Any:
    """Claims may give one expression or id where a list is meant."""
    lists = {"formula", "same_as", "holds", "at_least", "at_most", "possible_if", "shows"}
    if isinstance(content, Mapping):
        return {
            key: [value] if key in lists and isinstance(value, str) else _with_lists(value)
            for key, value in content.items()
        }
    return [_with_lists(item) for item in content] if isinstance(content, list) else content
