"""Slice names against Google's tables of supported shapes."""

import pytest

from scripts.common.errors import UserError
from scripts.common.slices import known_slices, parse_slice


@pytest.mark.parametrize(
    ("name", "chips", "hosts", "topology"),
    [
        ("v5p-8", 4, 1, "v5p:2x2x1"),
        ("v5p-32", 16, 4, "v5p:2x2x4"),
        ("v5p-128", 64, 16, "v5p:4x4x4"),
        ("v6e-8", 8, 1, "v6e:2x4"),
        ("v6e-16", 16, 4, "v6e:4x4"),
        ("v6e-64", 64, 16, "v6e:8x8"),
    ],
)
def test_a_name_gives_chips_hosts_and_topology(name: str, chips: int, hosts: int, topology: str) -> None:
    found = parse_slice(name)
    assert (found.chips, found.hosts, found.topology) == (chips, hosts, topology)


@pytest.mark.parametrize("name", known_slices("v5p"))
def test_v5p_counts_tensor_cores_two_a_chip(name: str) -> None:
    assert parse_slice(name).chips * 2 == int(name.removeprefix("v5p-"))


@pytest.mark.parametrize("name", known_slices("v6e"))
def test_v6e_counts_chips(name: str) -> None:
    assert parse_slice(name).chips == int(name.removeprefix("v6e-"))


@pytest.mark.parametrize("name", ["v5p-9", "v5p-4", "v6e-12", "v7x-8", "h100", "v5p", ""])
def test_an_unknown_slice_is_one_line_with_those_known(name: str) -> None:
    with pytest.raises(UserError, match="known: v"):
        parse_slice(name)


def test_links_in_use_follow_the_shape() -> None:
    assert [parse_slice(name).links_per_chip() for name in ("v5p-8", "v5p-16", "v5p-128", "v6e-8")] == [2, 3, 6, 3]
