"""Each verdict on made-up claims, and the audit of the paper: what it must find, and that it would find more."""

import pytest

from scripts.audit.expressions import evaluate
from scripts.audit.published import Claim
from scripts.audit.verdicts import Verdict, audit, findings_of, known_values
from scripts.common.errors import UserError
from scripts.common.units import in_unit, quantity
from tests.unit.audit.audited import audited, by_id, formulas, paper_of, planted, published

CENT = {"unit": "USD", "missing": "cause"}


def verdict_of(claim_id: str, **claims: Claim) -> Verdict:
    return by_id(paper_of(**claims))[claim_id].verdict


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [("4.05", Verdict.AGREES), ("4.07", Verdict.ROUNDING), ("4.14", Verdict.DIFFERS), ("3.90", Verdict.DIFFERS)],
)
def test_a_formula_agrees_agrees_within_its_rounding_or_differs(printed: str, verdict: Verdict) -> None:
    """3 x 1.35 = 4.05; with 1.345 to 1.355 it is 4.035 to 4.065, and 4.07 is printed of 4.065 to 4.075."""
    part = Claim(printed="1.35", **CENT)  # type: ignore[arg-type]
    assert verdict_of("total", part=part, total=Claim(printed=printed, unit="USD", formula=("3 * part",))) is verdict


def test_two_statements_of_one_thing_contradict_each_other_both_ways() -> None:
    here = Claim(printed="3072", unit="token", exact=True, missing="cause")
    there = Claim(printed="4,096", unit="token", exact=True, same_as=("here",))
    result = by_id(paper_of(here=here, there=there))
    assert result["here"].verdict is result["there"].verdict is Verdict.CONTRADICTS
    assert result["here"].findings[-1].others == ("there",)
    assert result["there"].findings[-1].others == ("here",)


def test_one_thing_may_be_said_in_other_units_and_with_fewer_digits() -> None:
    long = Claim(printed="411.2", unit="GB", missing="cause")
    assert verdict_of("short", long=long, short=Claim(printed="411", unit="GB", same_as=("long",))) is Verdict.ROUNDING
    assert verdict_of("short", long=long, short=Claim(printed="411200", unit="MB", same_as=("long",))) is Verdict.AGREES


def test_words_are_the_same_or_contradict() -> None:
    word = Claim(printed="fp8", missing="cause")
    assert verdict_of("again", word=word, again=Claim(printed="fp8", same_as=("word",))) is Verdict.AGREES
    assert verdict_of("again", word=word, again=Claim(printed="bf16", same_as=("word",))) is Verdict.CONTRADICTS


@pytest.mark.parametrize(("bound", "verdict"), [("60", Verdict.UNCHECKED), ("62", Verdict.IMPOSSIBLE)])
def test_a_bound_makes_impossible_and_never_agrees(bound: str, verdict: Verdict) -> None:
    claim = Claim(printed="61", unit="ms", at_least=(f'Q({bound}, "ms")',), missing="cause")
    assert verdict_of("time", time=claim) is verdict


def test_the_gravest_finding_is_the_verdict() -> None:
    claim = Claim(printed="61", unit="ms", formula=('Q(61, "ms")', 'Q(70, "ms")'), at_least=('Q(80, "ms")',))
    result = by_id(paper_of(time=claim))["time"]
    assert [finding.verdict for finding in result.findings] == [Verdict.AGREES, Verdict.DIFFERS, Verdict.IMPOSSIBLE]
    assert result.verdict is Verdict.IMPOSSIBLE


def test_the_case_that_a_value_belongs_to_is_found() -> None:
    claims = {
        "cost_1h": Claim(printed="20", exact=True, **CENT),  # type: ignore[arg-type]
        "cost_8h": Claim(printed="50", exact=True, **CENT),  # type: ignore[arg-type]
        "twice_8h": Claim(printed="40", unit="USD", formula=("2 * cost_8h",)),
    }
    (finding,) = by_id(paper_of(**claims))["twice_8h"].findings
    assert "It is what 1h gives in place of 8h: 2 * cost_1h = 2 * 20 USD = 40 USD" in finding.arithmetic


@pytest.mark.parametrize("formula", ["2 * nothing", 'Q(3, "h")', "3 +"])
def test_a_formula_that_cannot_be_evaluated_is_one_line_with_the_claims_name(formula: str) -> None:
    paper = paper_of(cost=Claim(printed="3", unit="USD", formula=(formula,)))
    with pytest.raises(UserError, match=r"^claim cost: "):
        audit(paper, formulas().functions)


MUST_FIND = {
    "tco_advantage_of_a_day": (Verdict.DIFFERS, "It is what 1h gives in place of 24h"),
    "sequence_length": (Verdict.CONTRADICTS, "max_seq_len"),
    "max_seq_len": (Verdict.CONTRADICTS, "sequence_length"),
    "tpu_optimizer_steps": (Verdict.CONTRADICTS, "gpu_checkpoint_step"),
    "both_runs_identical": (Verdict.CONTRADICTS, "tpu_gradient_clipping"),
    "tpu_usd_per_million_in512": (Verdict.DIFFERS, "printed 4.27"),
    "highest_rate": (Verdict.IMPOSSIBLE, "arrival_time(30 request, 64 request / s)"),
    "tpu_ttft_in15360": (Verdict.IMPOSSIBLE, "ttft_bound"),
    "gpu_ttft_in15360": (Verdict.IMPOSSIBLE, "ttft_bound"),
    "final_loss_winner": (Verdict.NOT_COMPARABLE, "tpu_loss_mask"),
    "both_cache_types": (Verdict.CONTRADICTS, "tpu_kv_cache_dtype"),
    "tpu_tensor_parallel": (Verdict.CONTRADICTS, "largest_tensor_parallel"),
    "memory_without_remat": (Verdict.CONTRADICTS, "compiled_peak_without_remat"),
    "ici_is_faster": (Verdict.CONTRADICTS, "nvlink_bandwidth"),
}


@pytest.mark.parametrize("claim_id", MUST_FIND)
def test_the_audit_finds(claim_id: str) -> None:
    verdict, words = MUST_FIND[claim_id]
    assert audited()[claim_id].verdict is verdict
    assert any(words in finding.arithmetic for finding in audited()[claim_id].findings)


def test_agreement_is_reported_too() -> None:
    for claim_id in ("training_speedup", "tpu_training_cost", "tco_gpu_24h", "kept_share", "gpu_pass_at_5"):
        assert audited()[claim_id].verdict is Verdict.AGREES


CHECKED = [
    claim_id for claim_id, claim in published().claims.items() if claim.unit and (claim.formula or claim.same_as)
]


@pytest.mark.parametrize("claim_id", CHECKED)
def test_a_wrong_value_planted_in_any_claim_that_is_checked_is_found(claim_id: str) -> None:
    """A value further off than everything that the check may be off makes some check of the claim disagree."""
    claim = published().claims[claim_id]
    paper = planted(claim_id, f"{3 * claim.number.value + 7:.4f}")
    findings = list(findings_of(paper, claim_id, known_values(paper), formulas().functions))
    for finding in findings:
        if finding.check in ("formula", "same_as"):
            assert finding.verdict in (Verdict.DIFFERS, Verdict.CONTRADICTS)


@pytest.mark.parametrize("claim_id", [one for one in CHECKED if audited()[one].verdict is Verdict.AGREES])
def test_a_value_that_agrees_no_longer_does_a_little_outside_its_rounding(claim_id: str) -> None:
    """Off by what the check's own inputs may be off, twice its rounding, and one unit more of its last digit."""
    claim, paper = published().claims[claim_id], published()
    slack = 2.2 * claim.number.half_width + 1e-3 * abs(claim.number.value) + 1e-6
    for expression in claim.formula:
        result = evaluate(expression, known_values(paper), formulas().functions)
        corners = [in_unit(corner, str(claim.unit)) for corner in result.corners]
        slack += max(corners) - min(corners)
    for other in claim.same_as:
        slack += in_unit(quantity(paper.claims[other].number.half_width, paper.claims[other].unit), str(claim.unit))
    wrong = planted(claim_id, f"{claim.number.value + slack:.9f}")
    findings = list(findings_of(wrong, claim_id, known_values(wrong), formulas().functions))
    assert any(finding.verdict in (Verdict.DIFFERS, Verdict.CONTRADICTS) for finding in findings)


@pytest.mark.parametrize("claim_id", [one for one in CHECKED if audited()[one].verdict is Verdict.DIFFERS])
def test_what_differs_would_agree_if_its_formula_s_value_were_printed(claim_id: str) -> None:
    differing = next(f for f in audited()[claim_id].findings if f.verdict is Verdict.DIFFERS)
    assert differing.off_by is not None
    right = planted(claim_id, f"{published().claims[claim_id].number.value + differing.off_by:.9f}")
    findings = list(findings_of(right, claim_id, known_values(right), formulas().functions))
    assert any(f.verdict is Verdict.AGREES and f.others == differing.others for f in findings)
