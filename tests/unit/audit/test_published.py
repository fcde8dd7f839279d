"""resources/paper: complete, word for word, and read strictly."""

import os
import re
from pathlib import Path

import pytest
import yaml

from scripts.audit.expressions import functions_in, names_in
from scripts.audit.published import load_published
from scripts.common.errors import UserError
from tests.unit.audit.audited import ROOT, formulas, published

STATEMENTS = [statement for section in published().sections for statement in section.statements]
# 1,443 or 0.6410 or 1e-4 or 0.19.0, but not the 8 of v5p-8 or the 100 of H100.
NUMBER = re.compile(r"(?<![A-Za-z\d.,_-])\d+(?:,\d{3})*(?:\.\d+)*(?:e-\d+)?")


@pytest.fixture(scope="module")
def paper_text() -> str:
    path = os.environ.get("PAPER_TXT")
    if not path:
        pytest.skip("set PAPER_TXT to the paper's text to compare the transcription with it")
    return Path(path).read_text(encoding="utf-8")


def test_every_quote_is_in_the_paper_word_for_word(paper_text: str) -> None:
    assert [statement.quote for statement in STATEMENTS if statement.quote not in paper_text] == []


def test_every_number_of_the_paper_is_in_a_quote_or_is_no_claim(paper_text: str) -> None:
    covered = bytearray(len(paper_text))
    for quote in (statement.quote for statement in STATEMENTS):
        for match in re.finditer(re.escape(quote), paper_text):
            covered[match.start() : match.end()] = b"x" * len(quote)
    for pattern in published().header.without_claims:
        for match in re.finditer(pattern, paper_text, re.MULTILINE):
            covered[match.start() : match.end()] = b"x" * (match.end() - match.start())
    left = [m for m in re.finditer(r"\d[\d,.]*", paper_text) if not any(covered[m.start() : m.end()])]
    assert [paper_text[max(0, m.start() - 40) : m.end() + 20] for m in left] == []


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.place)
def test_every_number_of_a_quote_is_a_claim_or_named_as_none(statement) -> None:  # type: ignore[no-untyped-def]
    printed = " ".join(str(claim.printed) for claim in statement.claims.values())
    numbers = set(NUMBER.findall(statement.quote))
    unclaimed = {number for number in numbers if not re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d])", printed)}
    assert unclaimed <= set(statement.names)
    assert set(statement.names) <= numbers, "a name that is no number of the quote"


def test_every_name_in_a_formula_is_there_and_every_evidence_is_used() -> None:
    paper = published()
    used = {name for claim in paper.claims.values() for text in claim.expressions for name in names_in(text)}
    assert used - paper.claims.keys() == paper.header.evidence.keys()


def test_every_function_and_every_list_of_the_header_is_used() -> None:
    paper = published()
    expressions = [text for claim in paper.claims.values() for text in claim.expressions]
    called = {name for text in expressions for name in functions_in(text)}
    assert called - {"Q"} == formulas().functions.keys()
    assert {claim.missing for claim in paper.claims.values()} - {None} == paper.header.missing.keys()
    assert {claim.unlike for claim in paper.claims.values()} - {None} == paper.header.conditions.keys()


def test_no_formula_is_its_own_claim_alone() -> None:
    """`a = a` agrees with everything; a share may be compared with the counts that can make it."""
    for claim_id, claim in published().claims.items():
        for text in claim.formula:
            assert names_in(text) != [claim_id], claim_id


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"printed": "3", "unit": "h", "misssing": "cause"}, "claims.time.misssing: unknown"),
        ({"printed": "4", "unit": "h", "missing": "cause"}, "claims.time: printed '4' is not in the quote"),
        ({"printed": "3", "unit": "hurs", "missing": "cause"}, "unit 'hurs'"),
        ({"printed": "3", "unit": "h"}, "nothing to check it against"),
        ({"printed": 3, "unit": "h", "missing": "cause"}, "claims.time.printed: expected str, found 3"),
        ({"printed": "took", "unit": "h", "missing": "cause"}, "is not a number"),
        ({"printed": "3", "unit": "h", "missing": "no such"}, "missing is 'no such'"),
        ({"printed": "3", "unit": "h", "same_as": "nothing"}, "same_as names 'nothing'"),
        ({"printed": "3", "unit": "h", "unlike": "nothing", "missing": "cause"}, "unlike is 'nothing'"),
        ({"printed": "took", "at_least": "1", "missing": "cause"}, "are of numbers"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, claim: dict[str, object], message: str) -> None:
    statement = {"place": "1", "quote": "took 3 h", "claims": {"time": claim}}
    with pytest.raises(UserError, match=re.escape(message)):
        load_published(_written(tmp_path, yaml.safe_dump({"section": "1", "statements": [statement]})))


def test_a_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    text = 'section: "1"\nstatements:\n- place: "1"\n  quote: took 3 h\n  claims:\n'
    text += '    time: {printed: "3", unit: h, missing: cause}\n' * 2
    with pytest.raises(UserError, match="'time' stands twice"):
        load_published(_written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path, "")
    (tmp_path / "section.yaml").unlink()
    with pytest.raises(UserError, match=r"section\.yaml: no such file"):
        load_published(path)


def _written(folder: Path, section: str) -> Path:
    header = yaml.safe_load((ROOT / "resources/paper/published.yaml").read_text())
    header |= {"files": ["section.yaml"], "conditions": {}, "alternatives": [], "evidence": {}}
    (folder / "section.yaml").write_text(section)
    (folder / "published.yaml").write_text(yaml.safe_dump(header))
    return folder / "published.yaml"
