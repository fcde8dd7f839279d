"""What a candidate may not do: the rules that keep it from reaching files, and the bench from being deceived.

The text is judged without its comments, exactly as it is compiled, so that no difference between this lexer and the
compiler's can hide a directive. All else is judged in what the compiler made of it: the candidate is elaborated a
second time, as a root of its own beside the bench. From there no name leads into the bench; whatever macros, escaped
names or generate blocks it came from, a system task, a `force` or a driver on an input stands in the compiled program.
"""

from __future__ import annotations

import dataclasses
import re

from scripts.verilog.bench import TOP, HiddenBench
from scripts.verilog.lexer import IDENTIFIER, blank_comments_and_strings

# Directives that the compiler proper reads; they reach no file and define nothing.
PLAIN_DIRECTIVES = frozenset(
    re.findall(
        r"\w+",
        "timescale default_nettype resetall celldefine endcelldefine unconnected_drive nounconnected_drive "
        "begin_keywords end_keywords line",
    )
)
# System tasks and functions of honest modules: they compute, print to standard output, or end the simulation.
HARMLESS_TASKS = frozenset(
    f"${name}"
    for name in re.findall(
        r"\w+",
        "display displayb displayh displayo write writeb writeh writeo strobe strobeb strobeh strobeo "
        "monitor monitorb monitorh monitoro monitoron monitoroff info warning error fatal finish stop "
        "time stime realtime timeformat random urandom urandom_range "
        "signed unsigned bits clog2 size left right low high increment dimensions unpacked_dimensions "
        "countones countbits onehot onehot0 isunknown rtoi itor realtobits bitstoreal shortrealtobits bitstoshortreal "
        "sformat sformatf swrite swriteb swriteh swriteo cast "
        "ln log10 exp sqrt pow floor ceil abs min max sin cos tan asin acos atan atan2 hypot sinh cosh tanh "
        "asinh acosh atanh ivlh_attribute_event ivlh_rising_edge ivlh_falling_edge",
    )
)
_SCOPE = re.compile(r'^(S_\w+) \.scope \S+, "[^"]*" "([^"]*)" .*?(S_\w+)?;$')
_SYSTEM_TASK = re.compile(r'^\s*(?:%vpi_\S+ \d+ \d+|\S+ \.sfunc\S* \d+ \d+) "(\$[^"]*)"', re.MULTILINE)

_ANY_SYSTEM_TASK = re.compile(r"^(?:\s*%vpi_|\S+ \.sfunc)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiled program says of the candidate standing alone.

    `ports` maps each port to INPUT, OUTPUT or INOUT, `undriven` names the ports that the candidate itself does not
    drive, `program` is the program without the lone candidate's processes: only the bench's instance runs.
    """

    ports: dict[str, str]
    undriven: frozenset[str]
    system_tasks: frozenset[str]
    forces: bool
    program: str


def directives(code: str) -> set[str]:
    """Names after a backtick anywhere in `code`, strings included; `` ` `` for one that no name follows."""
    return {match[1] or "`" for match in re.finditer(rf"`({IDENTIFIER})?", code)}


def text_refusal(code: str, bench: HiddenBench) -> str | None:
    """Why comment-free candidate text is refused before anything is compiled; None if it is not."""
    plain = blank_comments_and_strings(code)
    if "/*" in plain:
        return "ends inside a comment, which would swallow the bench"
    if "include" in directives(code):
        return "uses `include"
    if re.search(r"\bdefparam\b", plain):
        return "uses defparam"
    for name in sorted(bench.modules):
        # Defined, instantiated or reached into; a wire of that name is nobody's business.
        use = rf"\bmodule\s+{name}\b|(?<![\w$.]){name}(?:\s*\.|\s*#\s*\(|\s+\\?\w+\s*\()"
        if re.search(use, plain):
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
    for line in program.splitlines():
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
    if len(_SYSTEM_TASK.findall(program)) != len(_ANY_SYSTEM_TASK.findall(program)):
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
        system_tasks=frozenset(_SYSTEM_TASK.findall(program)),
        forces=re.search(r"^\s*%(?:force|release)", program, re.MULTILINE) is not None,
        program="\n".join(kept) + "\n",
    )


def compiled_refusal(
    compiled: Compiled, inputs: frozenset[str], bench: HiddenBench, ports: frozenset[str]
) -> str | None:
    """Why a compiled candidate is refused; None if it is not.

    `inputs` are the reference's input ports, `ports` all of its ports.
    """
    if strange := sorted(compiled.system_tasks - HARMLESS_TASKS):
        return f"uses {strange[0]}"
    if compiled.forces:
        return "uses force or release"
    for name in sorted(inputs & compiled.ports.keys()):
        if compiled.ports[name] != "INPUT" or name not in compiled.undriven:
            return f"drives its own input {name}"
    if bench.wildcard_ports and (extra := sorted(compiled.ports.keys() - ports)):
        return f"has a port {extra[0]} that is not in the task, and the bench connects by .*"
    return None


def _is_below(scope: str | None, root: str | None, parents: dict[str, str | None]) -> bool:
    """Is `scope` the scope `root` or inside it?"""
    while scope is not None and root is not None:
        if scope == root:
            return True
        scope = parents.get(scope)
    return False
