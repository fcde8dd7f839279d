"""Rows that repeat an earlier one: planted pairs are found, and what is named is as similar as it says."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.codev import Sample
from scripts.data.duplicates import (
    MAX_MISS_PROBABILITY,
    MINHASH_BATCH,
    PERMUTATIONS,
    banding,
    exact_duplicates,
    jaccard,
    near_duplicates,
    shingles,
)

FEW_WORDS = st.lists(st.sampled_from(["a", "b", "c", "assign", "&", "|", "=", "\n", "\t", " "]), max_size=12)
TEXT = FEW_WORDS.map(" ".join)
SAMPLES = st.lists(st.tuples(TEXT, TEXT), max_size=8).map(
    lambda pairs: [Sample(f"row{number}", *pair) for number, pair in enumerate(pairs, start=1)]
)


def samples(*texts: str) -> list[Sample]:
    return [Sample(f"row{number}", text, "") for number, text in enumerate(texts, start=1)]


def shingle_sets(text: str) -> set[tuple[str, ...]]:
    """The definition, without hashes."""
    words = re.findall(r"\w+|[^\w\s]", text)
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def true_jaccard(a: str, b: str) -> float:
    return len(shingle_sets(a) & shingle_sets(b)) / len(shingle_sets(a) | shingle_sets(b))


def random_text(generator: random.Random, words: int) -> str:
    return " ".join(f"w{generator.randrange(1000)}" for _ in range(words))


def changed(text: str, words: int, generator: random.Random) -> str:
    """`text` with that many of its words replaced."""
    parts = text.split()
    for place in generator.sample(range(len(parts)), words):
        parts[place] = f"changed{generator.randrange(1000)}"
    return " ".join(parts)


def test_the_first_of_equal_rows_stays() -> None:
    rows = [
        Sample("row1", "p q", "a"),
        Sample("row2", "p", "a"),
        Sample("row3", "p\n  q ", "a"),
        Sample("row4", "p", "b"),
    ]
    assert exact_duplicates(rows) == [None, None, "duplicate of row1", None]


def test_words_may_not_move_between_prompt_and_answer() -> None:
    assert exact_duplicates([Sample("row1", "p q", "r"), Sample("row2", "p", "q r")]) == [None, None]


@given(SAMPLES, st.sampled_from([0.3, 0.8, 1.0]))
@settings(deadline=None)
def test_an_exact_duplicate_is_a_near_one(rows: list[Sample], min_jaccard: float) -> None:
    near = near_duplicates(rows, min_jaccard)
    assert all(near[number] for number, reason in enumerate(exact_duplicates(rows)) if reason)


@given(TEXT, TEXT)
def test_similarity_is_that_of_the_sets_of_five_words(a: str, b: str) -> None:
    assert jaccard(shingles(a), shingles(b)) == true_jaccard(a, b) == jaccard(shingles(b), shingles(a))


@given(SAMPLES, st.sampled_from([0.3, 0.6, 0.8]))
@settings(deadline=None)
def test_what_is_named_is_an_earlier_kept_row_as_similar_as_it_says(rows: list[Sample], min_jaccard: float) -> None:
    reasons = near_duplicates(rows, min_jaccard)
    text = {row.id: f"{row.prompt}\n{row.answer}" for row in rows}
    kept = []
    for row, reason in zip(rows, reasons, strict=True):
        if reason is None:
            kept.append(row.id)
            continue
        match = re.fullmatch(r"near duplicate of (row\d+) \(Jaccard (\d\.\d\d)\)", reason)
        assert match
        similarity = true_jaccard(text[row.id], text[match[1]])
        assert match[1] in kept
        assert similarity >= min_jaccard
        assert match[2] == f"{similarity:.2f}"


@given(st.integers(0, 2**32), st.integers(1, 6))
@settings(deadline=None, max_examples=50)
def test_a_planted_pair_is_found_whichever_comes_first(seed: int, words: int) -> None:
    generator = random.Random(seed)
    text = random_text(generator, 400)
    twin = changed(text, words, generator)
    assert true_jaccard(text, twin) > 0.85
    for first, second in ((text, twin), (twin, text)):
        rows = samples(first, random_text(generator, 400), second)
        assert [bool(reason) for reason in near_duplicates(rows, 0.8)] == [False, False, True]


def test_rows_are_compared_with_kept_ones_only() -> None:
    words = [f"w{number}" for number in range(100)]
    rows = samples(" ".join(words), " ".join(words[8:]), " ".join(words[16:]))
    assert near_duplicates(rows, 0.9) == [None, "near duplicate of row1 (Jaccard 0.92)", None]
    assert near_duplicates(rows[1:], 0.9) == [None, "near duplicate of row2 (Jaccard 0.91)"]


def test_an_operator_is_a_word() -> None:
    assert near_duplicates(samples("assign y = a & b ;", "assign y = a | b ;"), 0.5) == [None, None]


def test_short_texts_are_one_shingle() -> None:
    reasons = near_duplicates(samples("", "a", "a b", " \n", "a  b", "b a"), 0.5)
    assert [reason and reason.split()[3] for reason in reasons] == [None, None, None, "row1", "row3", None]


def test_a_huge_row_is_hashed_in_parts() -> None:
    generator = random.Random(0)
    text = " ".join(f"w{generator.randrange(10**6)}" for _ in range(2 * MINHASH_BATCH))
    assert near_duplicates(samples(text, f"{text} end"), 0.9)[1] == "near duplicate of row1 (Jaccard 1.00)"


def test_texts_that_are_no_unicode_are_compared() -> None:
    rows = samples("a\udcff", "a\udcff")
    assert exact_duplicates(rows)[1] == "duplicate of row1"
    assert near_duplicates(rows, 1.0)[1] == "near duplicate of row1 (Jaccard 1.00)"


def test_hashes_are_the_same_in_every_process() -> None:
    assert shingles("always @ ( posedge clk").tolist() == [4438787316884913416]
    assert shingles("").dtype == np.uint64


@given(st.floats(0.04, 1))
def test_banding_misses_few_pairs_at_the_threshold(min_jaccard: float) -> None:
    bands, rows = banding(min_jaccard)
    assert bands >= 2
    assert bands * rows <= PERMUTATIONS
    assert (1 - min_jaccard**rows) ** bands <= MAX_MISS_PROBABILITY


@pytest.mark.parametrize("min_jaccard", [0, -0.1, 1.01, float("nan")])
def test_a_threshold_outside_its_range_is_refused(min_jaccard: float) -> None:
    with pytest.raises(ValueError, match="min_jaccard must be above 0 and at most 1"):
        near_duplicates([], min_jaccard)
