"""Compiles and simulates solutions with Icarus Verilog and compares them with their Python models."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.common.errors import UserError
from scripts.mini.tasks import CLOCK, MODULE_NAME, Port, Task

SAMPLES = 64
MODULES_PER_RUN = 50
TIMEOUT_SEC = 120
# The compiler's options of VerilogEval's own harness, but for its `-s tb`.
IVERILOG = ("iverilog", "-Wall", "-Winfloop", "-Wno-timescale", "-g2012")


class SolutionError(Exception):
    """A solution does not compile, differs from its model, or a bench judges wrongly: the generator has a bug."""


def stimulus(task: Task, seed: int, samples: int = SAMPLES) -> list[dict[str, int]]:
    """Input values of each sample: every combination where few, else extremes first and random ones after.

    A clocked task's reset is held in the first sample and falls in about one of eight later ones.
    """
    rng = random.Random(f"{seed} {task.key}")
    bits = sum(port.width for port in task.inputs)
    if not task.clocked and 1 << bits <= samples:
        words = list(range(1 << bits))
    else:
        words = [0, (1 << bits) - 1, *(rng.getrandbits(bits) if bits else 0 for _ in range(samples - 2))]
    values = [_split(word, task.inputs) for word in words]
    if task.reset:
        name, active = task.reset
        resets = any(port.name == name and port.name in ("rst", "reset") for port in task.inputs)
        values[0][name] = active
        for sample in values[1:] if resets else ():
            sample[name] = active if rng.random() < 0.125 else 1 - active
    return values


def _split(word: int, ports: Sequence[Port]) -> dict[str, int]:
    values = {}
    for port in reversed(ports):
        values[port.name] = word & ((1 << port.width) - 1)
        word >>= port.width
    return values


def check_tasks(tasks: Sequence[Task], seed: int) -> None:
    """Raises SolutionError naming the first task whose solution does not compile or differs from its model."""
    chunks = [tasks[start : start + MODULES_PER_RUN] for start in range(0, len(tasks), MODULES_PER_RUN)]
    for chunk in tqdm(chunks, desc="simulate solutions", unit="run", disable=len(chunks) < 2):
        observed = _simulate(chunk, seed)
        for number, task in enumerate(chunk):
            _compare(task, seed, observed[number])


def _compare(task: Task, seed: int, observed: Sequence[str]) -> None:
    expected = task.model(stimulus(task, seed))
    if len(observed) != len(expected):
        raise SolutionError(f"{task.key}: {len(observed)} samples of {len(expected)}\n{task.module()}")
    for sample, (wanted, found) in enumerate(zip(expected, observed, strict=True)):
        if wanted is None:
            continue
        bits = "".join(f"{wanted[port.name]:0{port.width}b}" for port in task.outputs)
        if bits != found:
            raise SolutionError(f"{task.key}: sample {sample}: expected {bits}, found {found}\n{task.module()}")


def _simulate(tasks: Sequence[Task], seed: int) -> list[list[str]]:
    """The outputs of each task at each sample as strings of bits, all tasks in one simulation."""
    source = "\n".join(
        itertools.chain.from_iterable(
            (task.module(f"Dut{number}"), _bench(task, number, stimulus(task, seed)))
            for number, task in enumerate(tasks)
        )
    )
    tops = [argument for number in range(len(tasks)) for argument in ("-s", f"bench{number}")]
    output = run_icarus({"all.sv": source}, tops)
    observed: list[list[str]] = [[] for _ in tasks]
    for line in output.splitlines():
        number, _, bits = line.partition(" ")
        observed[int(number)].append(bits)
    return observed


def _bench(task: Task, number: int, samples: Sequence[dict[str, int]]) -> str:
    """A bench that applies the samples one after the other and prints `number bits` for each."""
    names = [port.name for port in task.inputs]
    connections = ", ".join(f".{port.name}({port.name})" for port in task.ports)
    lines = [f"module bench{number};"]
    for port in task.ports:
        lines.append(f"  {'wire' if port.is_output else 'reg'} [{port.width - 1}:0] {port.name};")
    lines += [f"  Dut{number} dut({connections});", "  initial begin"]
    lines += [f"    {CLOCK} = 0;"] if task.clocked else []
    shown = f'$display("{number} %b", {{{", ".join(port.name for port in task.outputs)}}});'
    for values in samples:
        applied = " ".join(f"{name} = {values[name]};" for name in names)
        pulse = f" #1 {CLOCK} = 1; #1 {CLOCK} = 0;" if task.clocked else ""
        lines.append(f"    {applied} #1 {shown}{pulse}")
    return "\n".join([*lines, "  end", "endmodule"])


def run_icarus(sources: dict[str, str], options: Sequence[str]) -> str:
    """What the compiled `sources` (file name: text) print. Raises SolutionError with the compiler's messages."""
    with tempfile.TemporaryDirectory(prefix="mini-") as folder:
        for name, text in sources.items():
            Path(folder, name).write_text(text)
        try:
            compiled = subprocess.run(
                [*IVERILOG, *options, "-o", "a.out", *sources],
                cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SEC,
            )  # fmt: skip
        except FileNotFoundError:
            raise UserError("iverilog: not found; on Debian or Ubuntu: apt-get install iverilog") from None
        if compiled.returncode:
            raise SolutionError(f"iverilog: {compiled.stdout}{compiled.stderr}")
        simulated = subprocess.run(
            ["vvp", "-n", "a.out"], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SEC
        )
    return simulated.stdout


def passes_bench(candidate: str, reference: str, bench: str) -> bool:
    """Whether `candidate` (a TopModule) compiles with the bench and the reference and has no mismatch."""
    sources = {"candidate.sv": candidate, "test.sv": bench, "ref.sv": reference}
    try:
        output = run_icarus(sources, ("-s", "tb"))
    except (SolutionError, subprocess.TimeoutExpired):
        return False
    verdict = re.search(r"^Mismatches: (\d+) in (\d+) samples$", output, re.MULTILINE)
    return verdict is not None and verdict[1] == "0" and verdict[2] != "0" and "TIMEOUT" not in output


def solution_as_reference(module: str) -> str:
    return module.replace(f"module {MODULE_NAME}(", "module RefModule(", 1)
