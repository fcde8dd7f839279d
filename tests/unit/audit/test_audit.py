"""The entry script: its files, their schema, and that every claim can be followed in them."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
import yaml

from scripts.audit.audit import main
from scripts.audit.record import groups
from scripts.audit.verdicts import Verdict
from tests.unit.audit.audited import ROOT, audited, formulas, published

FLAGS = [
    "--published", str(ROOT / "resources/paper/published.yaml"),
    "--model-config", str(ROOT / "resources/models/gemma-4-31B-it.config.json"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    keys = ["chips", "hbm_gib", "peak_tflops_bf16", "memory_bandwidth_gb_per_sec", "interconnect_gb_per_sec"]
    hardware = {name: {key: entry[key] for key in keys} for name, entry in formulas().hardware.items()}
    main(["--settings", json.dumps({"hardware": hardware}), *FLAGS, "--output-dir", str(folder)])
    return folder


def test_the_record_keeps_its_schema_and_has_every_claim(folder: Path) -> None:
    record = json.loads((folder / "audit.json").read_text())
    jsonschema.validate(record, json.loads((ROOT / "schemas/results/audit.schema.json").read_text()))
    assert [claim["id"] for claim in record["claims"]] == list(published().claims)
    assert sum(record["summary"].values()) == len(published().claims)
    for verdict in Verdict:
        assert record["summary"][verdict.value] == sum(one.verdict is verdict for one in audited().values())


def test_every_claim_can_be_followed_in_both_pages(folder: Path) -> None:
    text, page = (folder / "audit.md").read_text(), (folder / "audit.html").read_text()
    for claim_id, one in audited().items():
        assert f"`{claim_id}`" in text
        assert re.search(rf">\s*{claim_id}\s*<", page)
        assert f"**{one.verdict.value}**" in text


def test_the_page_is_whole_and_loads_nothing(folder: Path) -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.sources: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.sources += [name for name, _ in attrs if name in ("src", "href")]
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    tags = Tags()
    tags.feed((folder / "audit.html").read_text())
    assert tags.open == tags.sources == []


def test_what_is_notable_is_said_once_however_often_the_paper_repeats_it(folder: Path) -> None:
    record = json.loads((folder / "audit.json").read_text())
    for verdict in (Verdict.IMPOSSIBLE, Verdict.CONTRADICTS, Verdict.DIFFERS):
        found = groups(record["claims"], verdict.value)
        ids = [claim["id"] for group in found for claim in group]
        assert sorted(ids) == sorted(claim_id for claim_id, one in audited().items() if one.verdict is verdict)
    (one,) = [group for group in groups(record["claims"], "contradicts") if group[0]["id"] == "max_seq_len"]
    assert [claim["id"] for claim in one] == ["max_seq_len", "sequence_length"]


def test_the_document_is_what_the_audit_writes_today(folder: Path) -> None:
    """docs/audit.md is made by `make audit`."""
    assert (ROOT / "docs/audit.md").read_text() == (folder / "summary.md").read_text()


def test_a_mistake_in_the_transcription_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = yaml.safe_load((ROOT / "resources/paper/published.yaml").read_text()) | {"fils": []}
    (tmp_path / "published.yaml").write_text(yaml.safe_dump(header))
    flags = ["--settings", '{"hardware": {}}', "--published", str(tmp_path / "published.yaml"), *FLAGS[2:]]
    with pytest.raises(SystemExit, match="2"):
        main([*flags, "--output-dir", str(tmp_path / "out")])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "published.yaml: fils: unknown" in lines[0]
    assert not (tmp_path / "out").exists()
