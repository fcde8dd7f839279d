"""Collectives read from a module's text, in the forms in which XLA writes them."""

# ruff: noqa: E501  (XLA writes long lines)
import pytest

from scripts.plan.collectives import Collective, read_collectives, wire_bytes

MODULE = """HloModule jit_step

%add (x: bf16[], y: bf16[]) -> bf16[] {
  %x = bf16[] parameter(0)
  ROOT %add.1 = bf16[] add(%x, %y)
}

%all-reduce-scatter.2 (input: bf16[8,16]) -> bf16[8,4] {
  %all-reduce.3 = bf16[8,16]{1,0} all-reduce(%input), channel_id=1, replica_groups={{0,1,2,3}}, to_apply=%add
  ROOT %slice = bf16[8,4] dynamic-slice(%all-reduce.3, %a, %b), dynamic_slice_sizes={8,4}
}

%body (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %collective-permute-start.1 = (f32[4]{0}, f32[4]{0}, u32[], u32[]) collective-permute-start(%x), source_target_pairs={{0,1}}
  %collective-permute-done.1 = f32[4]{0} collective-permute-done(%collective-permute-start.1)
  ROOT %tuple = (s32[], f32[4]) tuple(%i, %collective-permute-done.1)
}

%condition (p: (s32[], f32[4])) -> pred[] {
  ROOT %compare = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (a: bf16[8,16]) -> f32[4] {
  %fusion = bf16[8,4]{1,0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter.2
  %all-gather.1 = bf16[8,16]{1,0} all-gather(%fusion), replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_1'}, dimensions={1}
  %all-gather-start.2 = (bf16[8,4], bf16[8,16]) all-gather-start(%fusion), replica_groups=[2,4]<=[8], dimensions={1}
  %reduce-scatter.1 = f32[2]{0} reduce-scatter(%b), replica_groups={{0,1}}, to_apply=%add
  %all-reduce.9 = (f32[4]{0}, f32[2]{0}) all-reduce(%b, %c), replica_groups={{0,1}}, to_apply=%add
  ROOT %while.1 = (s32[], f32[4]) while(%t), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"7"}}
}
"""


def test_every_form_is_read_with_its_bytes_groups_and_repetitions() -> None:
    found = read_collectives(MODULE)
    assert {(c.kind, c.group_size): (c.count, c.tensor_bytes) for c in found.collectives} == {
        ("all-gather", 4): (2, 2 * 8 * 16 * 2),
        ("all-reduce", 2): (1, (4 + 2) * 4),
        ("collective-permute", 2): (7, 7 * 16),
        ("reduce-scatter", 2): (1, 2 * 2 * 4),
        ("reduce-scatter", 4): (1, 8 * 16 * 2),
    }
    assert (found.loops, found.loops_of_unknown_length) == (1, 0)


def test_a_loop_whose_length_is_not_said_is_counted_as_unknown() -> None:
    found = read_collectives(MODULE.replace('"known_trip_count":{"n":"7"}', ""))
    assert found.loops_of_unknown_length == 1
    assert Collective("collective-permute", 2, 1, 16, 16) in found.collectives


def test_text_without_an_entry_is_an_error() -> None:
    with pytest.raises(ValueError, match="ENTRY"):
        read_collectives("HloModule nothing")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("all-reduce", 150.0), ("all-gather", 75.0), ("reduce-scatter", 75.0), ("collective-permute", 100.0)],
)
def test_bytes_on_the_wire_of_100_bytes_over_four_chips(kind: str, expected: float) -> None:
    assert wire_bytes(kind, 4, 100.0) == expected
