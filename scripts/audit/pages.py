"""The audit as pages: a summary with what is notable, and every claim with its arithmetic, line by line."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from scripts.audit.record import groups
from scripts.audit.verdicts import Verdict

MEANING = {
    Verdict.IMPOSSIBLE: "a bound of physics, or of the paper's own protocol, rules it out",
    Verdict.CONTRADICTS: "another statement of the paper, or a fact that it relies on, says otherwise",
    Verdict.DIFFERS: "its formula gives another value, further off than all roundings allow",
    Verdict.NOT_COMPARABLE: "the arms differ in more than what is compared",
    Verdict.ROUNDING: "its formula gives the value somewhere within the rounding of its inputs",
    Verdict.AGREES: "its formula, or what states the same, gives the value as printed",
    Verdict.UNCHECKED: "what would check it is not published; bounds were checked where there are any",
}
NOTABLE = (Verdict.IMPOSSIBLE, Verdict.CONTRADICTS, Verdict.DIFFERS, Verdict.NOT_COMPARABLE)
COLOURS = {
    Verdict.IMPOSSIBLE: "#b3261e",
    Verdict.CONTRADICTS: "#b3541e",
    Verdict.DIFFERS: "#8a6d00",
    Verdict.NOT_COMPARABLE: "#6a4fa3",
    Verdict.ROUNDING: "#2f6f4f",
    Verdict.AGREES: "#1f6f3f",
    Verdict.UNCHECKED: "#666666",
}


def summary_markdown(record: Mapping[str, Any]) -> str:
    """Counts by verdict, then what is notable: one point a matter, however often the paper repeats it."""
    parts = [
        f"# Audit of “{record['title']}”",
        f"{len(record['claims'])} numbers and claims of the paper, each recomputed from its other numbers, the model's "
        "configuration, the hardware's peaks and the benchmark's protocol. A claim's verdict is the gravest of its "
        "checks. Made by `make audit`; `audit.md` and `audit.html` beside `audit.json` in the run's folder have every "
        "claim with its arithmetic.",
        _counts(record),
    ]
    for verdict in NOTABLE:
        found = groups(record["claims"], verdict)
        lines = [f"- {_point(group, verdict)}" for group in found]
        parts += [f"## {verdict.value.capitalize()}", "\n".join(lines) or "Nothing."]
    return "\n\n".join(parts) + "\n"


def full_markdown(record: Mapping[str, Any]) -> str:
    """The summary, then every claim in the paper's order below the words that make it."""
    parts = [summary_markdown(record), "# Every claim"]
    for section, statements in _by_statement(record).items():
        parts.append(f"## {section}")
        for (place, quote), claims in statements.items():
            lines = [line for claim in claims for line in _claim_lines(claim)]
            parts += [f"### {place}", f"> {_escaped(quote)}", "\n".join(lines)]
    functions = "\n".join(f"- `{name}`: {_escaped(text)}" for name, text in record["functions"].items())
    evidence = tabulate(_evidence_rows(record), _EVIDENCE, tablefmt="pipe")
    parts += ["## Functions of the formulas", functions, "## Evidence from elsewhere", evidence]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def page_html(record: Mapping[str, Any]) -> str:
    """The same as one self-contained page."""
    body = [f"<h1>Audit of “{html.escape(record['title'])}”</h1>"]
    counts = [[_badge(v), record["summary"][v.value], html.escape(MEANING[v])] for v in Verdict]
    body.append(tabulate(counts, ["verdict", "claims", "meaning"], tablefmt="unsafehtml"))
    for verdict in NOTABLE:
        points = "".join(
            f"<li>{html.escape(_point(group, verdict).replace('`', ''))}</li>"
            for group in groups(record["claims"], verdict)
        )
        body.append(f"<h2>{_badge(verdict)}</h2><ul>{points}</ul>")
    for section, statements in _by_statement(record).items():
        rows = []
        for (place, quote), claims in statements.items():
            rows.append([f"<b>{html.escape(place)}</b>", "", "", f"<q>{html.escape(quote)}</q>"])
            for claim in claims:
                steps = "<br>".join(html.escape(step) for step in _steps(claim))
                badge = _badge(Verdict(claim["verdict"]))
                rows.append([html.escape(claim["id"]), html.escape(_printed(claim)), badge, steps])
        grid = tabulate(
            rows, ["claim", "printed", "verdict", "arithmetic"], tablefmt="unsafehtml", disable_numparse=True
        )
        body += [f"<h2>{html.escape(section)}</h2>", grid]
    functions = [[html.escape(name), html.escape(text)] for name, text in record["functions"].items()]
    body += ["<h2>Functions of the formulas</h2>", tabulate(functions, ["function", "gives"], tablefmt="unsafehtml")]
    evidence = [[html.escape(str(cell)) for cell in row] for row in _evidence_rows(record)]
    body += ["<h2>Evidence from elsewhere</h2>", tabulate(evidence, _EVIDENCE, tablefmt="unsafehtml")]
    return _PAGE.format(title=html.escape(record["title"]), body="\n".join(body))


_EVIDENCE = ["name", "value", "unit", "source"]
_PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Audit of {title}</title>\n'
    "<style>body{{font:13px/1.45 sans-serif;margin:1.5em;color:#222}}table{{border-collapse:collapse}}"
    "th,td{{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}}"
    "td:last-child{{font-family:monospace;font-size:12px}}li{{max-width:90em}}b{{white-space:nowrap}}</style></head>\n"
    "<body>{body}</body></html>\n"
)


def _counts(record: Mapping[str, Any]) -> str:
    rows = [[verdict.value, record["summary"][verdict.value], MEANING[verdict]] for verdict in Verdict]
    return tabulate(rows, ["verdict", "claims", "meaning"], tablefmt="pipe")


def _point(group: Sequence[Mapping[str, Any]], verdict: Verdict) -> str:
    """One matter: where it stands, what was found, and why that counts."""
    places = "; ".join(dict.fromkeys(claim["place"] for claim in group))
    findings = [f for claim in group for f in claim["findings"] if f["verdict"] == verdict.value]
    steps = list(dict.fromkeys(f["arithmetic"] for f in findings))
    if len(group) > 1 and all(finding["check"] == "same_as" for finding in findings):
        stated = dict.fromkeys((claim["printed"], claim["place"]) for claim in group)
        steps = [", ".join(f"{printed} ({place})" for printed, place in stated)]
    names = ", ".join(f"`{claim['id']}`" for claim in group)
    why = " ".join(dict.fromkeys(f"({claim['why']})" for claim in group if claim["why"]))
    said = f" “{_shortened(group[0]['quote'])}”" if len(group) == 1 else ""
    return f"**{places}**{said}: {'; '.join(steps)}. {why} {names}".replace("  ", " ")


def _by_statement(record: Mapping[str, Any]) -> dict[str, dict[tuple[str, str], list[dict[str, Any]]]]:
    """Claims by section, then by place and words of the paper."""
    sections: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for claim in record["claims"]:
        statements = sections.setdefault(claim["section"], {})
        statements.setdefault((claim["place"], claim["quote"]), []).append(claim)
    return sections


def _claim_lines(claim: Mapping[str, Any]) -> list[str]:
    head = f"- `{claim['id']}`, {_escaped(_printed(claim))}: **{claim['verdict']}**"
    return [head, *(f"  - {_escaped(step)}" for step in _steps(claim))]


def _printed(claim: Mapping[str, Any]) -> str:
    """What is claimed: the number or word as printed with its unit, or the statement as a whole."""
    unit = f" {claim['unit']}" if claim["unit"] not in (None, "ratio") else ""
    return "the statement" if claim["printed"] is None else claim["printed"] + unit


def _steps(claim: Mapping[str, Any]) -> list[str]:
    """Each check with its arithmetic and its verdict, then the note."""
    steps = [f"{f['check']}: {f['arithmetic']} → {f['verdict']}" for f in claim["findings"]]
    return [*steps, f"note: {claim['why']}"] if claim["why"] else steps


def _evidence_rows(record: Mapping[str, Any]) -> list[list[Any]]:
    return [[name, entry["value"], entry["unit"] or "", entry["source"]] for name, entry in record["evidence"].items()]


def _shortened(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]} …"


def _escaped(text: str) -> str:
    """Markdown's own characters as text."""
    for character in "\\`*_|<":
        text = text.replace(character, f"\\{character}")
    return text


def _badge(verdict: Verdict) -> str:
    return f'<b style="color:{COLOURS[verdict]}">{verdict.value}</b>'
