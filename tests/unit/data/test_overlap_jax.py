"""Rows that give away a problem: ROUGE-L as the reference implementation has it, and 13-grams that name a problem."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from scripts.common.problems import Problem, read_problems
from scripts.data import overlap
from scripts.data.codev import Sample
from scripts.data.overlap import closest, encode, overlaps, words

TEXT = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(["a", "b", "Clk", "q_1", "8'hFF", "-", "é", "İ"]), max_size=30).map(" ".join),
)
REFERENCE = "module RefModule (input clk, input d, output reg q);\n  always @(posedge clk) q <= d;\nendmodule\n"
OTHER = "module RefModule (input [7:0] bus, output parity);\n  assign parity = ^bus;\nendmodule\n"
PROBLEMS = [
    Problem("Prob001_dff", "Build a flip-flop that stores its input on every rising edge.", REFERENCE, ""),
    Problem("Prob002_parity", "Compute the parity of a byte on the bus.", OTHER, ""),
]
LETTERS = " ".join("abcdefghijklmnopqrstuvwxyz")


def rouge_l(text: str, reference: str) -> float:
    characters = {word: chr(number) for number, word in enumerate(dict.fromkeys(words(reference)), start=1)}
    (match,) = closest([encode(words(text), characters)], [encode(words(reference), characters)], 0.0)
    return match[1] if match else 0.0


def lcs(a: list[str], b: list[str]) -> int:
    """The textbook's table, row by row."""
    row = [0] * (len(b) + 1)
    for word in a:
        before, row = row, [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[place]))
    return row[-1]


def sample(prompt: str = "", answer: str = "") -> Sample:
    return Sample("row1", prompt, answer)


def reason(row: Sample, max_rouge_l: float = 1.0, problems: list[Problem] = PROBLEMS) -> str | None:
    return overlaps([row], problems, max_rouge_l)[0]


@given(TEXT, TEXT)
@settings(deadline=None)
def test_rouge_l_is_that_of_the_reference_implementation(a: str, b: str) -> None:
    expected = RougeScorer(["rougeL"], use_stemmer=False).score(a, b)["rougeL"].fmeasure
    assert rouge_l(a, b) == pytest.approx(expected)


@given(TEXT, TEXT)
def test_rouge_l_is_the_longest_common_subsequence(a: str, b: str) -> None:
    total = len(words(a)) + len(words(b))
    assert rouge_l(a, b) == pytest.approx(2 * lcs(words(a), words(b)) / total if total else 0.0)
    assert rouge_l(a, b) == pytest.approx(rouge_l(b, a))


@given(TEXT)
def test_a_text_with_words_is_like_itself(text: str) -> None:
    assert rouge_l(text, text) == (1.0 if words(text) else 0.0)


def test_a_copied_answer_is_named_whatever_its_module_is_called() -> None:
    for name in ("TopModule", "RefModule", "top_module", "flip_flop_with_a_long_name", "d$1"):
        copied = REFERENCE.replace("RefModule", name)
        assert reason(sample(answer=copied)) == "13-gram of Prob001_dff"
        assert (
            reason(sample(answer=OTHER.replace("RefModule", name)), 0.9)
            == "ROUGE-L 1.00 with Prob002_parity's reference"
        )


def test_a_prompt_is_compared_with_prompts() -> None:
    close = "Compute the parity of one byte on the bus."
    assert reason(sample(prompt=close), 0.5) == "ROUGE-L 0.89 with Prob002_parity's prompt"
    assert reason(sample(answer=close), 0.5) is None


def test_the_closest_problem_is_named() -> None:
    both = [PROBLEMS[1], Problem("Prob003_twin", "Compute the parity of a byte on a bus.", OTHER, "")]
    assert reason(sample(prompt="compute the parity of a byte on a bus"), 0.5, both) == (
        "ROUGE-L 1.00 with Prob003_twin's prompt"
    )


def test_a_score_at_the_threshold_is_kept() -> None:
    problem = [Problem("Prob001_x", "a b c d", "", "")]
    assert reason(sample(prompt="a b y z"), 0.5, problem) is None
    assert reason(sample(prompt="a b c z"), 0.5, problem) == "ROUGE-L 0.75 with Prob001_x's prompt"


@pytest.mark.parametrize("where", ["prompt", "answer"])
@pytest.mark.parametrize("part", ["prompt", "reference"])
def test_thirteen_words_in_a_row_are_found_in_a_long_text(where: str, part: str) -> None:
    texts = {"prompt": "", "reference": "", part: LETTERS}
    problem = [Problem("Prob001_x", texts["prompt"], texts["reference"], "")]
    passage = LETTERS.split()[5:18]
    text = "other words " * 300
    assert reason(sample(**{where: f"{text} {' - '.join(passage)}! {text}"}), 0.5, problem) == "13-gram of Prob001_x"
    assert reason(sample(**{where: f"{text} {' '.join(passage[:12])} {text}"}), 0.5, problem) is None
    broken = " ".join([*passage[:6], "unknown", *passage[6:]])
    assert reason(sample(**{where: f"{text} {broken} {text}"}), 0.5, problem) is None


@pytest.mark.parametrize(("sharing", "named"), [(1, True), (2, True), (3, False), (9, False)])
def test_what_more_than_two_problems_say_names_none(sharing: int, named: bool) -> None:
    problems = [Problem(f"Prob{number}", f"{LETTERS} task{number}", "", "") for number in range(sharing)]
    assert reason(sample(prompt=LETTERS), 1.0, problems) == ("13-gram of Prob0" if named else None)
    own = f"{' '.join(LETTERS.split()[-12:])} task0"
    assert reason(sample(prompt=own), 1.0, problems) == "13-gram of Prob0"


def test_a_problem_that_repeats_itself_is_one_problem() -> None:
    assert reason(sample(prompt=LETTERS), 1.0, [Problem("Prob1", f"{LETTERS} {LETTERS} {LETTERS}", LETTERS, "")])


def test_rows_are_judged_alike_in_any_portion_and_by_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [sample(prompt=f"parity {number}", answer=OTHER if number % 3 else "") for number in range(7)]
    whole = overlaps(rows, PROBLEMS, 0.5)
    assert {bool(verdict) for verdict in whole} == {True, False}
    monkeypatch.setattr(overlap, "ROWS_AT_A_TIME", 2)
    assert overlaps(rows, PROBLEMS, 0.5, jobs=2) == whole


def test_the_shipped_problems_are_found_in_themselves() -> None:
    problems = read_problems(Path("resources/mini/problems"))
    copies = [Sample(problem.name, problem.prompt, problem.reference) for problem in problems]
    assert all(overlaps(copies, problems, 0.5))


def test_without_problems_or_words_nothing_overlaps() -> None:
    assert overlaps([sample("a", "b")], [], 0.0) == [None]
    assert overlaps([], PROBLEMS, 0.5) == []
    assert overlaps([sample("", "")], [Problem("Prob001_empty", "", "", "")], 0.0) == [None]


@pytest.mark.parametrize("max_rouge_l", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_its_range_is_refused(max_rouge_l: float) -> None:
    with pytest.raises(ValueError, match="max_rouge_l must be from 0 to 1"):
        overlaps([], PROBLEMS, max_rouge_l)
