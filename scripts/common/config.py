"""Validation of the configuration and of resources/hardware.yaml: strict schemas, then what a schema cannot say.

Every problem is found in one go and is one line: the key's path, what was found, what was expected with its unit.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema

from scripts.common.config_rules import consistency_problems, nearest
from scripts.common.errors import UserError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
HARDWARE_FILE = "resources/hardware.yaml"
# What YAML 1.1 leaves as text although its writer meant a number, such as 1e-4.
TEXT_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

KeyPath = Sequence[str | int]


def validate_config(config: dict[str, Any], hardware: dict[str, Any]) -> None:
    """Checks the merged configuration and the hardware entries; raises UserError with one line for each problem.

    The rules between keys are applied once every key has the right type.
    """
    problems = schema_problems(config, "config.schema.json")
    problems += [f"{HARDWARE_FILE}: {line}" for line in schema_problems(hardware, "hardware.schema.json")]
    if not problems:
        problems = consistency_problems(config, hardware, HARDWARE_FILE)
    if problems:
        raise UserError("\n".join(problems))


def schema_problems(value: Any, schema_name: str) -> list[str]:
    """One line for each place where `value` breaks schemas/`schema_name`, in the order of the document's paths."""
    schema = json.loads((SCHEMAS / schema_name).read_text(encoding="utf-8"))
    validator = _strict_validator(schema)
    lines: list[str] = []
    for error in _leaf_errors(validator.iter_errors(value)):
        lines += _describe(error, schema)
    return sorted(dict.fromkeys(lines))


def dotted(path: KeyPath) -> str:
    """`["arms", 1, "train"]` as `arms[1].train`; the document itself is `(top level)`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top level)"


def _strict_validator(schema: dict[str, Any]) -> Any:
    """Draft 2020-12, but 1.0 is no integer and NaN and infinities are no numbers: settings are typed and are JSON."""
    base = jsonschema.Draft202012Validator

    def is_integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(_: Any, value: Any) -> bool:
        finite = isinstance(value, float) and value == value and abs(value) != float("inf")
        return is_integer(_, value) or finite

    types = base.TYPE_CHECKER.redefine_many({"integer": is_integer, "number": is_number})
    return jsonschema.validators.extend(base, type_checker=types)(schema)


def _leaf_errors(errors: Iterator[Any]) -> Iterator[Any]:
    """Replaces a failed choice of alternatives by the errors of the alternative that was meant, where one was.

    The alternative meant is the one that has the value's `backend`.
    """
    for error in errors:
        branches: dict[Any, list[Any]] = {}
        for suberror in error.context or ():
            branches.setdefault(suberror.schema_path[0], []).append(suberror)
        meant = [branch for branch in branches.values() if isinstance(error.instance, dict) and _is_meant(branch)]
        if len(meant) == 1:
            yield from _leaf_errors(iter(meant[0]))
        else:
            yield error


def _is_meant(branch: list[Any]) -> bool:
    """Whether an alternative fails neither as a whole by its type nor by its `backend`."""
    return not any(
        (error.validator == "type" and not error.relative_path) or "backend" in error.relative_path for error in branch
    ) and not any(error.validator == "required" and "'backend'" in error.message for error in branch)


def _describe(error: Any, schema: dict[str, Any]) -> list[str]:
    """The lines for one error of the jsonschema library."""
    path = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        return [
            f"{dotted([*path, key])}: unknown key; {_suggestion(key, path, known, error.schema, schema)}"
            for key in error.instance
            if key not in known
        ]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [
            f"{dotted([*path, key])}: missing; expected {expectation(error.schema['properties'][key], schema)}"
            for key in missing
        ]
    if error.parent is None and "propertyNames" in error.schema_path:
        return [f"{error.instance!r}: not a name; expected letters, digits, '.', '_' and '-'"]
    if error.validator == "uniqueItems":
        twice = [entry for index, entry in enumerate(error.instance) if entry in error.instance[:index]]
        return [f"{dotted(path)}: found {_shown(twice[0])} twice, expected each once"]
    backends = [entry for node in error.schema.get("oneOf", ()) for entry in _backends(node, schema)]
    if backends and isinstance(error.instance, dict):
        found = f"found {_shown(error.instance['backend'])}" if "backend" in error.instance else "missing"
        return [f"{dotted([*path, 'backend'])}: {found}, expected one of {', '.join(backends)}"]
    found = f"found {_shown(error.instance)}"
    return [f"{dotted(path)}: {found}, expected {expectation(error.schema, schema)}{_hint(error.instance, error)}"]


def _suggestion(key: Any, path: KeyPath, known: list[str], subschema: dict[str, Any], schema: dict[str, Any]) -> str:
    """What an unknown key may have been meant to be: a near key beside it, or one of the same name elsewhere."""
    near = nearest(str(key), known)
    if near:
        return f"did you mean {near}? ({_description(subschema['properties'][near], schema)})"
    places = list(_places(schema, schema, ()))
    here = [str(part) for part in dotted(path).split(".")]
    elsewhere = [place for place in places if place[-1] == key] or [
        place for place in places if difflib.get_close_matches(str(key), [place[-1]], cutoff=0.85)
    ]
    if elsewhere and "backend" in known and len(elsewhere[0]) == len(here) + 1:
        return f"{elsewhere[0][-1]} belongs to another backend than {subschema['properties']['backend']['const']}"
    if elsewhere:
        return f"did you mean {'.'.join(elsewhere[0])}?"
    return f"known here: {', '.join(known)}"


def _places(node: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of all keys that a schema names, as tuples; lists show as `key[]`."""
    node = _resolved(node, schema)
    for alternative in node.get("oneOf", ()):
        yield from _places(alternative, schema, path)
    if "items" in node and path:
        yield from _places(node["items"], schema, (*path[:-1], f"{path[-1]}[]"))
    for key, child in node.get("properties", {}).items():
        yield (*path, key)
        yield from _places(child, schema, (*path, key))


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def _description(node: dict[str, Any], schema: dict[str, Any]) -> str:
    return str(node.get("description") or _resolved(node, schema).get("description", ""))


def expectation(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a subschema accepts, in words, with its description and unit."""
    resolved = _resolved(node, schema)
    meaning = _description(node, schema)
    return f"{_kind(resolved, schema)}" + (f" ({meaning})" if meaning else "")


def _kind(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """The type and bounds of a subschema in words."""
    if "enum" in node or "const" in node:
        values = ["null" if value is None else value for value in node.get("enum", [node.get("const")])]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    alternatives = node.get("oneOf") or node.get("anyOf")
    if alternatives:
        return " or ".join(_alternative(entry, schema) for entry in alternatives)
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    words = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false"}
    words |= {"null": "null", "object": "a mapping", "array": "a list"}
    bounds = [
        f" {name} {node[key]}"
        for key, name in (
            ("minimum", "of at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "and at most"),
            ("exclusiveMaximum", "and below"),
        )
        if key in node
    ]
    if "pattern" in node:
        kind = node["title"]
    else:
        kind = words[types[0]] + "".join(bounds)
        kind += " that is not empty" if node.get("minLength") or node.get("minItems") else ""
    return " or ".join([kind, *(words[name] for name in types[1:])])


def _alternative(node: dict[str, Any], schema: dict[str, Any]) -> str:
    backends = _backends(node, schema)
    return f"a mapping with backend: {backends[0]}" if backends else _kind(_resolved(node, schema), schema)


def _backends(node: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """The one `backend` that an alternative is for, or none."""
    backend = _resolved(node, schema).get("properties", {}).get("backend", {})
    return [backend["const"]] if "const" in backend else []


def _shown(value: Any) -> str:
    """A value as a user would recognise it from YAML."""
    if isinstance(value, dict):
        return f"a mapping with {', '.join(map(str, value)) or 'no key'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the text {value!r}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _hint(value: Any, error: Any) -> str:
    """How to write in YAML what was probably meant."""
    if isinstance(value, datetime.date):
        return "; YAML reads this as a date: put it in quotes"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and error.validator == "type" and "string" in error.validator_value:
        # A number cannot stand for the text: which digits were written is gone.
        lost = ", 12.10 as 12.1" if isinstance(value, float) else ""
        return f"; YAML reads this as a number{lost}: put it in quotes"
    if isinstance(value, float) and abs(value) == float("inf"):
        return "; write inf, without a dot"
    wanted = json.dumps(error.schema)
    if isinstance(value, str) and TEXT_NUMBER.fullmatch(value) and ('"number"' in wanted or '"integer"' in wanted):
        exact = Decimal(value)
        mantissa, _, exponent = f"{exact:e}".partition("e")
        mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
        scientific = f" or {mantissa}e{int(exponent):+d}" if "e" in value.lower() and '"number"' in wanted else ""
        reason = f"YAML reads {value} as text" if "e" in value.lower() else "it is in quotes, or in a list of --config"
        return f"; {reason}: write {exact:f}{scientific}"
    return ""
