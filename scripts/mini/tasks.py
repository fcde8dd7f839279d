"""What a task of the mini world is, and how it becomes a prompt, a module and a row in CodeV-R1's form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[str, int]
# The expected outputs of a sequence of inputs, one sample a clock cycle; None where an output is not yet determined.
Model = Callable[[Sequence[Values]], list[dict[str, int] | None]]

MODULE_NAME = "TopModule"
CLOCK = "clk"


@dataclass(frozen=True)
class Port:
    """One port of the module. `registered` outputs are assigned in an always block."""

    name: str
    width: int = 1
    is_output: bool = False
    registered: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"port {self.name}: width {self.width}")
        if self.registered and not self.is_output:
            raise ValueError(f"port {self.name}: an input cannot be registered")

    def declaration(self, as_module: bool) -> str:
        """`input [3:0] a`; in a module's header, registered outputs are `output reg`."""
        words = ["output" if self.is_output else "input"]
        if as_module and self.registered:
            words.append("reg")
        if self.width > 1:
            words.append(vector(self.width))
        return " ".join([*words, self.name])


@dataclass(frozen=True)
class Task:
    """A specification with its solution in Verilog and an independent model of it in Python.

    `key` holds all that determines the behaviour, not names and wording: two tasks with different keys are different
    circuits. `reset` names the port that `simulation` asserts in the first cycle, with the value that asserts it.
    """

    family: str
    key: tuple[Any, ...]
    ports: tuple[Port, ...]
    description: str
    body: tuple[str, ...]
    reasoning: str
    model: Model = field(compare=False)
    reset: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        names = [port.name for port in self.ports]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.family}: port names {names} are not distinct")

    @property
    def clocked(self) -> bool:
        return any(port.name == CLOCK for port in self.ports)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Inputs but the clock."""
        return tuple(port for port in self.ports if not port.is_output and port.name != CLOCK)

    @property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.is_output)

    @property
    def prompt(self) -> str:
        """What the user's turn holds."""
        ports = "\n".join(f" - {port.declaration(as_module=False)}" for port in self.ports)
        return f"Write the Verilog module {MODULE_NAME} with the ports\n{ports}\n\n{self.description}"

    def module(self, name: str = MODULE_NAME) -> str:
        """The solution."""
        ports = ", ".join(port.declaration(as_module=True) for port in self.ports)
        return "\n".join([f"module {name}({ports});", *(f"  {line}" for line in self.body), "endmodule"])


def vector(width: int) -> str:
    return f"[{width - 1}:0]"


def constant(width: int, value: int) -> str:
    return f"{width}'d{value}"


def mask(width: int) -> int:
    return (1 << width) - 1


def combinational(function: Callable[[Values], dict[str, int]]) -> Model:
    """The model of outputs that depend on the present inputs only."""
    return lambda samples: [function(inputs) for inputs in samples]


def clocked(
    initial: Any,
    step: Callable[[Any, Values], Any],
    outputs: Callable[[Any, Values], dict[str, int]],
    unknown_cycles: int = 1,
) -> Model:
    """The model of a machine: outputs are sampled before the clock's edge, then the state takes its step.

    In the first `unknown_cycles` samples nothing is determined: the reset, or the first data, has not been clocked in.
    """

    def run(samples: Sequence[Values]) -> list[dict[str, int] | None]:
        state, expected = initial, []
        for cycle, inputs in enumerate(samples):
            expected.append(outputs(state, inputs) if cycle >= unknown_cycles else None)
            state = step(state, inputs)
        return expected

    return run


def response(reasoning: str, answer: str) -> str:
    """CodeV-R1's form: reasoning, then the answer with one fenced module."""
    return f"<think>{reasoning}</think>\n<answer>\n```verilog\n{answer}\n```\n</answer>"


def row(task: Task) -> dict[str, str]:
    return {"prompt": task.prompt, "response": response(task.reasoning, task.module())}


def module_of_response(text: str) -> str | None:
    """The fenced module of a response in the form above; None where there is none."""
    found = re.search(r"<answer>\s*```verilog\n(module\b.*?endmodule)\n```\s*</answer>", text, re.DOTALL)
    return found[1] if found else None
