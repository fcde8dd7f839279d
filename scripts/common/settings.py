"""Settings of a step: one JSON object on the command line, read into the step's own frozen dataclass.

Rules hand a step only the settings it depends on, so that Snakemake's record of them decides what is stale.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from scripts.common.errors import UserError

T = TypeVar("T")


def parse_settings(cls: type[T], text: str) -> T:
    """An instance of the dataclass `cls` from a JSON object: no key unknown, none missing, each of its field's type.

    Nested dataclasses and tuples of them are built too; the dataclass checks values in its own `__post_init__`
    (ValueError). Raises UserError with the key's path.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON ({error}): {text[:80]!r}") from None
    return _build(cls, value, "settings")


def _build(kind: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, path)
    if origin is types.UnionType or origin is typing.Union:
        return _build_union(kind, value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise UserError(f"{path}: expected a list, found {value!r}")
        (item, *_) = typing.get_args(kind)
        return tuple(_build(item, entry, f"{path}[{index}]") for index, entry in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise UserError(f"{path}: expected an object, found {value!r}")
        return {key: _build(typing.get_args(kind)[1], entry, f"{path}.{key}") for key, entry in value.items()}
    if origin is typing.Literal:
        if value not in typing.get_args(kind):
            raise UserError(f"{path}: expected one of {list(typing.get_args(kind))}, found {value!r}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is not Any and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise UserError(f"{path}: expected {kind.__name__}, found {value!r}")
    return value


def _build_union(kind: Any, value: Any, path: str) -> Any:
    options = typing.get_args(kind)
    if value is None and type(None) in options:
        return None
    problem: UserError | None = None
    for option in options:
        if option is not type(None):
            try:
                return _build(option, value, path)
            except UserError as error:
                problem = error
    raise problem or UserError(f"{path}: {value!r} is not allowed")


def _build_dataclass(cls: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected an object, found {value!r}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            raise UserError(f"{path}.{key}: unknown (known: {', '.join(fields)})")
    missing = [
        name
        for name, field in fields.items()
        if name not in value and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{path}: missing {', '.join(missing)}")
    try:
        return cls(**{key: _build(hints[key], entry, f"{path}.{key}") for key, entry in value.items()})
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
