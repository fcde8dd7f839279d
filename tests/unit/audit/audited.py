"""The paper as transcribed, with this project's hardware and the model's configuration, for the audit's tests."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import yaml

from scripts.audit.formulas import Formulas
from scripts.audit.published import Claim, Published, Section, Statement, assemble, load_published
from scripts.audit.verdicts import ClaimAudit, audit
from scripts.common.gemma4_shapes import gemma4_shapes

ROOT = Path(__file__).resolve().parents[3]


@functools.cache
def published() -> Published:
    return load_published(ROOT / "resources/paper/published.yaml")


@functools.cache
def formulas() -> Formulas:
    hardware = yaml.safe_load((ROOT / "resources/hardware.yaml").read_text())
    config = json.loads((ROOT / "resources/models/gemma-4-31B-it.config.json").read_text())
    return Formulas(hardware, gemma4_shapes(config), config["text_config"])


@functools.cache
def audited() -> dict[str, ClaimAudit]:
    return by_id(published())


def by_id(paper: Published) -> dict[str, ClaimAudit]:
    return {one.claim_id: one for one in audit(paper, formulas().functions)}


def planted(claim_id: str, printed: str) -> Published:
    """The paper with another value printed for one claim, in the statement's words too."""
    paper = published()
    claim = dataclasses.replace(paper.claims[claim_id], printed=printed)
    return dataclasses.replace(paper, claims={**paper.claims, claim_id: claim})


def paper_of(**claims: Claim) -> Published:
    """A paper of a few made-up claims, whose header is the real one."""
    quote = " | ".join(str(claim.printed) for claim in claims.values())
    section = Section("Made up", (Statement("1", quote, claims),))
    header = dataclasses.replace(published().header, conditions={}, alternatives=(("1h", "8h"),))
    return assemble(header, (section,))
