"""The audit as data: what audit.json holds, and groups of claims that state the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scripts.audit.published import Published
from scripts.audit.verdicts import ClaimAudit, Verdict


def audit_record(
    published: Published, audits: Sequence[ClaimAudit], functions: Mapping[str, Callable[..., Any]]
) -> dict[str, Any]:
    """audit.json without its provenance: schemas/results/audit.schema.json."""
    section_of = {
        claim_id: section.section
        for section in published.sections
        for statement in section.statements
        for claim_id in statement.claims
    }
    counts = Counter(audit.verdict for audit in audits)
    return {
        "title": published.header.title,
        "summary": {verdict.value: counts[verdict] for verdict in Verdict},
        "claims": [_claim(published, audit, section_of[audit.claim_id]) for audit in audits],
        "functions": {name: " ".join((function.__doc__ or "").split()) for name, function in functions.items()},
        "evidence": {
            name: {"value": entry.value, "unit": entry.unit, "source": entry.source}
            for name, entry in published.header.evidence.items()
        },
    }


def _claim(published: Published, audit: ClaimAudit, section: str) -> dict[str, Any]:
    claim, statement = published.claims[audit.claim_id], published.statement_of[audit.claim_id]
    return {
        "id": audit.claim_id,
        "section": section,
        "place": statement.place,
        "quote": statement.quote,
        "printed": claim.printed,
        "unit": claim.unit,
        "value": claim.number.value if claim.unit else None,
        "verdict": audit.verdict.value,
        "why": claim.why,
        "findings": [
            {
                "check": finding.check,
                "verdict": finding.verdict.value,
                "arithmetic": finding.arithmetic,
                "others": list(finding.others),
                "off_by": finding.off_by,
            }
            for finding in audit.findings
        ],
    }


def groups(claims: Sequence[dict[str, Any]], verdict: str) -> list[list[dict[str, Any]]]:
    """Claims of audit.json with `verdict`, in order; those that have it from each other by `same_as` are one group,
    those with the same finding too."""
    chosen = [claim for claim in claims if claim["verdict"] == verdict]
    group_of = {claim["id"]: index for index, claim in enumerate(chosen)}
    first_with: dict[str, str] = {}
    for claim in chosen:
        for finding in claim["findings"]:
            if finding["verdict"] != verdict:
                continue
            stated = finding["others"] if finding["check"] == "same_as" else []
            alike = first_with.setdefault(finding["arithmetic"], claim["id"])
            for other in [*stated, alike]:
                if other in group_of and group_of[other] != group_of[claim["id"]]:
                    old, new = group_of[claim["id"]], group_of[other]
                    group_of = {name: new if index == old else index for name, index in group_of.items()}
    order = dict.fromkeys(group_of[claim["id"]] for claim in chosen)
    return [[claim for claim in chosen if group_of[claim["id"]] == index] for index in order]
