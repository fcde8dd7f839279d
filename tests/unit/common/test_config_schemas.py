"""The schemas of the configuration and of the hardware: closed, and every key with its meaning and unit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.common.configs import ROOT


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a JSON value, itself first."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from mappings(child)


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every subschema of a property or list item."""
    for part in mappings(schema):
        yield from part.get("properties", {}).values()
        if "items" in part:
            yield part["items"]


@pytest.mark.parametrize("name", ["config", "hardware"])
def test_every_key_is_described_and_every_number_has_its_unit(name: str) -> None:
    schema = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
    found = [node for node in nodes(schema) if "$ref" not in node]
    assert len(found) > 10
    for node in found:
        assert node.get("description"), node
        if {"integer", "number"} & set(
            [node.get("type")] if isinstance(node.get("type"), str) else node.get("type", [])
        ):
            assert node["description"].endswith("]"), node


@pytest.mark.parametrize("name", ["config", "hardware"])
def test_every_mapping_is_closed(name: str) -> None:
    schema = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
    for node in mappings(schema):
        if "properties" in node and "type" in node:
            assert node.get("additionalProperties") is False, node["description"]


def test_every_pattern_has_a_title_for_the_line_that_refuses_a_text() -> None:
    schema = json.loads((ROOT / "schemas/config.schema.json").read_text())
    patterns = [node for node in nodes(schema) if "pattern" in node]
    assert len(patterns) >= 5
    assert all(node.get("title") for node in patterns)
