"""resources/mini as it is shipped: the corpus, the problems, and that none of one is in the other."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from scripts.data.codev import Sample, parse_row
from scripts.mini.generator import problem_tasks
from scripts.mini.make_corpus import main as make_corpus
from scripts.mini.make_problems import main as make_problems
from scripts.mini.simulation import passes_bench
from scripts.mini.tasks import MODULE_NAME

CORPUS = Path("resources/mini/corpus.jsonl")
PROBLEMS = Path("resources/mini/problems")
ROWS = [json.loads(line) for line in CORPUS.read_text().splitlines()]
NAMES = (PROBLEMS / "problems.txt").read_text().split()


def words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def part(name: str, suffix: str) -> str:
    return (PROBLEMS / f"{name}_{suffix}").read_text()


def test_rows_have_codevs_two_columns() -> None:
    assert 1500 <= len(ROWS) <= 1700
    assert all(set(row) == {"prompt", "response"} for row in ROWS)
    assert all(row["response"].startswith("<think>") for row in ROWS)


def test_the_filters_drop_a_known_minority() -> None:
    parsed = [parse_row("row", row["prompt"], row["response"]) for row in ROWS]
    dropped = Counter(sample for sample in parsed if not isinstance(sample, Sample))
    assert dropped == {"no_answer": 14, "no_module": 14}
    kept = [sample for sample in parsed if isinstance(sample, Sample)]
    # The tables are the rows that are too long for the mini run; their tokens are counted in test_tokenizer_torch.py.
    assert sum(sample.answer.count("4'd") > 30 for sample in kept) == 14
    assert all(sample.answer.startswith(f"module {MODULE_NAME}(") for sample in kept)


def test_no_prompt_is_there_twice() -> None:
    assert len({row["prompt"] for row in ROWS}) == len(ROWS)


def test_every_problem_has_its_three_files_and_no_others_are_there() -> None:
    assert len(NAMES) >= 32
    assert len(set(NAMES)) == len(NAMES)
    assert all(re.fullmatch(r"Prob\d{3}_\w+", name) for name in NAMES)
    wanted = {f"{name}_{suffix}" for name in NAMES for suffix in ("prompt.txt", "ref.sv", "test.sv")}
    assert {path.name for path in PROBLEMS.iterdir()} == {*wanted, "problems.txt"}


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_is_asked_for_as_top_module_and_its_reference_passes_its_bench(name: str) -> None:
    reference = part(name, "ref.sv")
    assert MODULE_NAME in part(name, "prompt.txt")
    assert reference.startswith("module RefModule(")
    assert passes_bench(reference.replace("RefModule", MODULE_NAME, 1), reference, part(name, "test.sv"))


def test_no_training_prompt_or_answer_is_a_problems() -> None:
    prompts = [words(row["prompt"]) for row in ROWS]
    answers = [words(row["response"]) for row in ROWS]
    for name in NAMES:
        module = words(part(name, "ref.sv").replace("RefModule", MODULE_NAME, 1))
        assert words(part(name, "prompt.txt")) not in prompts
        text = " ".join(module)
        assert not [answer for answer in answers if text in " ".join(answer)]


def test_the_shipped_problems_are_those_of_the_generators_seed() -> None:
    assert [part(name, "prompt.txt").strip() for name in NAMES] == [task.prompt for task in problem_tasks(0)]


def test_the_corpus_is_the_same_each_time(tmp_path: Path) -> None:
    sizes = ["--rows", "30", "--faulty-rows", "2"]
    for name in ("first", "second"):
        make_corpus([*sizes, "--output", str(tmp_path / name)])
    make_corpus([*sizes, "--seed", "1", "--output", str(tmp_path / "other")])
    first, second, other = ((tmp_path / name).read_bytes() for name in ("first", "second", "other"))
    assert first == second != other
    assert first.count(b"\n") == 36


def test_remaking_the_problems_gives_the_shipped_files_and_removes_stale_ones(tmp_path: Path) -> None:
    (tmp_path / "Prob999_old_ref.sv").touch()
    make_problems(["--output", str(tmp_path)])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in PROBLEMS.iterdir()
    }
