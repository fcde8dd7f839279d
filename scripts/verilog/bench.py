"""A bench that a candidate cannot address: its modules, instances, other named scopes and verdict line get nonces.

Two nonces, because a running module can print the names of its scopes (`%m`): from those the text of the verdict
line must not follow. The dump of waveforms is left out; it would write a file and has no part in the verdict.
"""

from __future__ import annotations

import dataclasses
import re
import secrets

from scripts.verilog.lexer import IDENTIFIER, blank_comments_and_strings, rewrite

TOP = "TopModule"
BENCH = "tb"
VERDICT_TEXT = "Mismatches:"
_CONSTRUCTOR = "new"
_MODULE = re.compile(rf"\b(?:macro)?module\s+({IDENTIFIER})")
_ROUTINE = re.compile(r"\b(?:task|function)\b([^;(]*)[;(]")
_BLOCK = re.compile(rf"\b(?:begin|fork)\s*:\s*({IDENTIFIER})")
_DUMP = re.compile(r"\$dump(?:file|vars)\s*(?:\([^;]*\))?\s*;")


@dataclasses.dataclass(frozen=True)
class Nonces:
    """Unguessable suffixes for one run: of the bench's names, and of its verdict line."""

    name: str
    verdict: str


@dataclasses.dataclass(frozen=True)
class HiddenBench:
    """Bench and reference with hidden names, ready to compile beside a candidate.

    `top` is the bench's new name, `verdict_text` what now stands before the counts in its verdict line. `modules` and
    `instances` are original names, by which a candidate's intent is told; `wildcard_ports` says that the bench connects
    the candidate by `.*`, which would hand any signal of the bench to a port of its name. `plain_test` and
    `plain_reference` are the texts without new names, for VerilogEval's own recipe.
    """

    test: str
    reference: str
    top: str
    verdict_text: str
    nonces: Nonces
    modules: frozenset[str]
    instances: frozenset[str]
    wildcard_ports: bool
    plain_test: str
    plain_reference: str

    def unhide(self, text: str) -> str:
        """`text`, such as a message of the compiler, without the nonces, so that a second run writes the same."""
        return text.replace(f"{self.nonces.verdict} ", "").replace(f"_{self.nonces.name}", "")


def new_nonces() -> Nonces:
    return Nonces(secrets.token_hex(12), secrets.token_hex(12))


def hide(test: str, reference: str, nonces: Nonces) -> HiddenBench:
    """The bench `test` and its `reference` under hidden names. Raises ValueError for a bench without a verdict line."""
    code = blank_comments_and_strings(test)
    own_modules = set(_MODULE.findall(code)) | set(_MODULE.findall(blank_comments_and_strings(reference)))
    if BENCH not in own_modules:
        raise ValueError(f"the bench defines no module {BENCH}")
    instances = _instances(code, own_modules | {TOP})
    verdict_text = f"{nonces.verdict} {VERDICT_TEXT}"
    names = own_modules | instances | _named_scopes(code)
    hidden = {name: f"{name}_{nonces.name}" for name in names - _port_names(code) - {_CONSTRUCTOR}}

    def rename(name: str) -> str:
        return hidden.get(name, name)

    def mark(literal: str) -> str:
        return literal.replace(VERDICT_TEXT, verdict_text)

    def unchanged(literal: str) -> str:
        return literal

    plain_test = _DUMP.sub(";", test)
    marked = rewrite(plain_test, rename, mark)
    if verdict_text not in marked:
        raise ValueError(f"the bench prints no line {VERDICT_TEXT!r}")
    return HiddenBench(
        test=marked,
        reference=rewrite(reference, rename, unchanged),
        top=rename(BENCH),
        verdict_text=verdict_text,
        nonces=nonces,
        modules=frozenset(own_modules),
        instances=frozenset(instances),
        wildcard_ports=re.search(rf"\b{TOP}\b[^;]*\.\*", code) is not None,
        plain_test=plain_test,
        plain_reference=reference,
    )


def _instances(code: str, modules: set[str]) -> set[str]:
    """Names of the instances of `modules` in `code`, which has neither comments nor strings."""
    alternatives = "|".join(sorted(modules))
    return set(re.findall(rf"\b(?:{alternatives})\s+(?:#\s*\([^;]*?\)\s*)?({IDENTIFIER})\s*\(", code)) - modules


def _named_scopes(code: str) -> set[str]:
    """Names of the tasks, functions and blocks in `code`: a candidate's own of that name must not lead to them."""
    routines = (re.findall(IDENTIFIER, match) for match in _ROUTINE.findall(code))
    return {words[-1] for words in routines if words} | set(_BLOCK.findall(code))


def _port_names(code: str) -> set[str]:
    """Names connected as `.name`: renaming one of those would break a candidate's ports."""
    return set(re.findall(rf"\.({IDENTIFIER})", code))
