"""Lines that are no rows are named for what they are, and no line is too long to be looked at."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.data.parallel import batched, ordered_map
from scripts.data.rows import Line, Row, parse_line, read_lines

LIMIT = 2000


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{broken", "not a line of JSON (Expecting property name"),
        (b"", "not a line of JSON (Expecting value"),
        (b"\n", "not a line of JSON"),
        (b"[" * 100_000, "longer than data.max_row_bytes, 2000 bytes"),
        (b"[" * 1900, "not a line of JSON"),
        (b"[1, 2]", "expected a JSON object, found list"),
        (b"null", "expected a JSON object, found NoneType"),
        (line(prompt="p"), "expected text in 'response', found nothing"),
        (line(response="r"), "expected text in 'prompt', found nothing"),
        (line(prompt=3, response="r"), "expected text in 'prompt', found int"),
        (line(prompt=["p"], response="r"), "expected text in 'prompt', found list"),
        (line(prompt=None, response="r"), "expected text in 'prompt', found NoneType"),
        (line(prompt=" \n", response="r"), "expected text in 'prompt', found white space only"),
        (line(prompt="p", response="x" * LIMIT), "longer than data.max_row_bytes"),
        (b'{"prompt": "p\xff", "response": "r"}', "not UTF-8 (byte 0xff at offset 13)"),
        (b'\xef\xbb\xbf{"prompt": "p", "response": "r"}', "not a line of JSON (Unexpected UTF-8 BOM"),
        (b'{"prompt": "p", "response": "\\ud800"}', "'response' holds half a surrogate pair at character 0"),
        (b'{"prompt": "p", "response": "r"} trailing', "not a line of JSON (Extra data"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, problem: str) -> None:
    found = parse_line(content, LIMIT)
    assert isinstance(found, str)
    assert found.startswith(problem)


def test_other_fields_do_not_matter_and_unicode_is_kept() -> None:
    assert parse_line(line(prompt="é漢🙂", response="r\u2028", id=1) + b"\r\n", LIMIT) == Row("é漢🙂", "r\u2028")


@given(
    lines=st.lists(st.binary(max_size=60).map(lambda content: content.replace(b"\n", b" ")), max_size=12),
    end=st.booleans(),
)
def test_lines_are_the_files_lines_numbered_from_one(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bool
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    lines = [content or b" " for content in lines]
    path.write_bytes(b"\n".join(lines) + (b"\n" if end and lines else b""))
    read = list(read_lines(path, None, 20))
    assert [entry.number for entry in read] == list(range(1, len(lines) + 1))
    for entry, content in zip(read, lines, strict=True):
        if len(content) <= 20:
            assert entry.content.rstrip(b"\n") == content
        else:
            assert entry.content == content[:21], "of a line over the limit a byte more than that is held"


def test_no_more_lines_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    assert list(read_lines(path, 2, 20)) == [Line(1, b"1\n"), Line(2, b"2\n")]


@given(sizes=st.lists(st.integers(0, 9), max_size=30), count=st.integers(1, 5), limit=st.integers(1, 12))
def test_batches_hold_the_items_in_order_and_end_at_either_limit(sizes: list[int], count: int, limit: int) -> None:
    batches = list(batched(sizes, count, limit, int))
    assert [size for batch in batches for size in batch] == sizes
    for batch in batches:
        assert 1 <= len(batch) <= count
        assert sum(batch[:-1]) < limit


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_the_items_order_whatever_the_processes(processes: int) -> None:
    base = 7
    assert list(ordered_map(lambda item: item * base, range(50), processes)) == [item * 7 for item in range(50)]


def test_an_error_in_a_process_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda item: 1 // item, [1, 0, 1], 2))
