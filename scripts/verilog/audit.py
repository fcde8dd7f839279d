"""What a candidate may not do: the rules that keep it from reaching files, and the bench from being deceived.

The text is judged without its comments, exactly as it is compiled, so that no difference between this lexer and the
compiler's can hide a directive. All else is judged in what the compiler made of it: the candidate is elaborated a
second time, as a root of its own beside the bench. From there no name leads into the bench; whatever macros, escaped
names or generate blocks it came from, a system task, a `force` or a driver on an input stands in the compiled program.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Mapping

from scripts.verilog.bench import TOP, HiddenBench
from scripts.verilog.lexer import IDENTIFIER, blank_comments_and_strings

# Directives that the compiler proper reads; they reach no file and define nothing.
PLAIN_DIRECTIVES = frozenset(
    re.findall(
        r"\w+",
        "timescale default_nettype resetall celldefine endcelldefine unconnected_drive nounconnected_drive "
        "begin_keywords end_keywords line protect endprotect",
    )
)
# System tasks and functions of honest modules: they compute, print to standard output, or end the simulation. $random
# and $urandom are not among them: every caller draws from one generator, so that a candidate could choose what the
# bench draws next.
HARMLESS_TASKS = frozenset(
    f"${name}"
    for name in re.findall(
        r"\w+",
        "display displayb displayh displayo write writeb writeh writeo strobe strobeb strobeh strobeo "
        "monitor monitorb monitorh monitoro monitoron monitoroff info warning error fatal finish stop "
        "time stime realtime timeformat "
        "signed unsigned bits clog2 size left right low high increment dimensions unpacked_dimensions "
        "countones countbits onehot onehot0 isunknown rtoi itor realtobits bitstoreal shortrealtobits bitstoshortreal "
        "sformat sformatf swrite swriteb swriteh swriteo cast "
        "ln log10 exp sqrt pow floor ceil abs min max sin cos tan asin acos atan atan2 hypot sinh cosh tanh "
        "asinh acosh atanh ivlh_attribute_event ivlh_rising_edge ivlh_falling_edge",
    )
)
_DEFINITION = r"(?:macromodule|module|interface|package|program|class)"
_SCOPE = re.compile(r'^(S_\w+) \.scope \S+, "[^"]*" "([^"]*)" .*?(S_\w+)?;$')
_SYSTEM_TASK = re.compile(r'^\s*(?:%vpi_\S+ \d+ \d+|\S+ \.sfunc\S* \d+ \d+) "(\$[^"]*)"', re.MULTILINE)
_ANY_SYSTEM_TASK = re.compile(r"^(?:\s*%vpi_|\S+ \.sfunc)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiled program says of the candidate standing alone.

    `ports` maps each port to INPUT, OUTPUT or INOUT, `undriven` names the ports that the candidate itself does not
    drive. `system_tasks` counts the calls of each, and `forces` each `force` and `release`, in the whole program, the
    bench's too. `program` is the program without the lone candidate's processes: only the bench's instance runs.
    """

    ports: dict[str, str]
    undriven: frozenset[str]
    system_tasks: Mapping[str, int]
    forces: int
    program: str

    @property
    def inputs(self) -> frozenset[str]:
        return frozenset(name for name, direction in self.ports.items() if direction == "INPUT")


def directives(code: str) -> set[str]:
    """Names after a backtick anywhere in `code`, strings included; `` ` `` for one that no name follows."""
    return {match[1] or "`" for match in re.finditer(rf"`({IDENTIFIER})?", code)}


def text_refusal(code: str, bench: HiddenBench) -> str | None:
    """Why comment-free candidate text is refused before anything is compiled; None if it is not."""
    plain = blank_comments_and_strings(code)
    if "/*" in plain:
        return "ends inside a comment, which would swallow the bench"
    if "include" in directives(plain):
        return "uses `include"
    if re.search(r"\bdefparam\b", plain):
        return "uses defparam"
    for name in sorted(bench.modules):
        if re.search(rf"\b{_DEFINITION}\s+(?:(?:automatic|static)\s+)?\\?{name}\b", plain):
            return f"defines {name}, which is the bench's"
    return None


def reach(code: str, bench: HiddenBench) -> str | None:
    """How comment-free text that did not compile reached for the bench; None if it did not.

    Text that compiled used such a name for something of its own: under hidden names nothing of the bench has it.
    """
    plain = blank_comments_and_strings(code)
    for name in sorted(bench.modules):
        if re.search(rf"(?<![\w$.]){name}(?:\s*\.|\s*#\s*\(|\s+\\?\w+\s*\()", plain):
            return f"uses the bench's module {name}"
    for name in sorted(bench.instances):
        if re.search(rf"(?<![\w$.]){name}\s*\.", plain):
            return f"reaches into the bench's instance {name}"
    return None


def expanded_refusal(code: str) -> str | None:
    """Why text that is about to be compiled is refused: a directive that preprocessing would act upon again."""
    left = directives(code) - PLAIN_DIRECTIVES
    return f"holds `{min(left)} after macro expansion" if left else None


def read_compiled(program: str) -> Compiled:
    """Reads the program that Icarus compiled with `-s BENCH -s TopModule`. Raises ValueError for one
    without a lone TopModule or with a line that hides what it is."""
    scopes: dict[str, str | None] = {}
    lone: str | None = None
    head: list[str] = []
    kept: list[str] = []
    section = ""
    for line in program.split("\n"):  # not splitlines: a candidate's string may hold any other separator
        if line.startswith("S_"):
            match = _SCOPE.match(line)
            if match is None:
                raise ValueError("a scope of the compiled program cannot be read: it has a quoted name")
            section, name, parent = match[1], match[2], match[3]
            scopes[section] = parent
            if name == TOP and parent is None:
                lone = section
        elif line.startswith("    .scope "):
            section = line.split()[1].rstrip(";")
        elif section == lone and lone is not None:
            head.append(line)
        if not (line.startswith("    .thread ") and _is_below(section, lone, scopes)):
            kept.append(line)
    system_tasks = _SYSTEM_TASK.findall(program)
    if len(system_tasks) != len(_ANY_SYSTEM_TASK.findall(program)):
        raise ValueError("the compiled program calls a system task that cannot be read")
    if lone is None:
        raise ValueError(f"the compiled program has no root {TOP}")
    declarations = "\n".join(head)
    ports = {
        name: direction
        for direction, name in re.findall(r'^ *\.port_info \d+ /(\w+) .*"([^"]*)";$', declarations, re.M)
    }
    # An input without a driver of its own is a .net at high impedance (an o-label); tran gates make it a p-label.
    undriven = re.findall(r'^v\S+ \.net\S* "([^"]*)", -?\d+ -?\d+, o0x\w+;  0 drivers$', declarations, re.M)
    return Compiled(
        ports=ports,
        undriven=frozenset(undriven),
        system_tasks=collections.Counter(system_tasks),
        forces=len(re.findall(r"^\s*%(?:force|release)", program, re.MULTILINE)),
        program="\n".join(kept),
    )


def compiled_refusal(compiled: Compiled, reference: Compiled, bench: HiddenBench) -> str | None:
    """Why a compiled candidate is refused; None if it is not. `reference` is the reference, compiled in its place.

    What the bench itself calls or forces is no reason; one more of it is, unless it is harmless.
    """
    calls = collections.Counter(compiled.system_tasks) - collections.Counter(reference.system_tasks)
    if strange := sorted(calls.keys() - HARMLESS_TASKS):
        return f"uses {strange[0]}"
    if compiled.forces > reference.forces:
        return "uses force or release"
    for name in sorted(reference.inputs & compiled.ports.keys()):
        if compiled.ports[name] != "INPUT" or name not in compiled.undriven:
            return f"drives its own input {name}"
    if bench.wildcard_ports and (extra := sorted(compiled.ports.keys() - reference.ports.keys())):
        return f"has a port {extra[0]} that is not in the task, and the bench connects by .*"
    return None


def _is_below(scope: str | None, root: str | None, parents: dict[str, str | None]) -> bool:
    """Is `scope` the scope `root` or inside it?"""
    while scope is not None and root is not None:
        if scope == root:
            return True
        scope = parents.get(scope)
    return False
