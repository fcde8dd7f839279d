"""Writes the mini problems in VerilogEval's layout: ProbNNN_name_{prompt.txt,ref.sv,test.sv} and problems.txt.

Each reference passes its own bench, and modules that drive only zeros, only ones or nothing fail it.

    python -m scripts.mini.make_problems
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.common.errors import entry_point
from scripts.common.files import write_text
from scripts.mini.benches import bench
from scripts.mini.generator import problem_tasks
from scripts.mini.simulation import SolutionError, check_tasks, passes_bench, solution_as_reference
from scripts.mini.tasks import Task


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("resources/mini/problems"), help="folder")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def problem_name(number: int, task: Task) -> str:
    """`Prob007_gate_nand_4_2`: the number and what determines the circuit."""
    return "_".join([f"Prob{number:03d}", task.family, *(str(part) for part in task.key[1:])])


def wrong_modules(task: Task) -> list[str]:
    """Modules with the right ports that drive zeros, ones, or nothing."""
    header = task.module().splitlines()[0].replace("output reg", "output")
    drivers = [[f"  assign {port.name} = {value};" for port in task.outputs] for value in ("0", "~0")]
    return ["\n".join([header, *lines, "endmodule"]) for lines in (*drivers, [])]


def check_problem(name: str, task: Task) -> None:
    """Raises SolutionError when the bench fails the reference or passes a wrong module."""
    reference, test = solution_as_reference(task.module()), bench(task)
    if not passes_bench(task.module(), reference, test):
        raise SolutionError(f"{name}: the reference fails its own bench")
    for wrong in wrong_modules(task):
        if passes_bench(wrong, reference, test):
            raise SolutionError(f"{name}: the bench passes a wrong module:\n{wrong}")


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    tasks = problem_tasks(args.seed)
    check_tasks(tasks, args.seed)
    names = [problem_name(number, task) for number, task in enumerate(tasks, start=1)]
    for name, task in zip(tqdm(names, desc="check problems", unit="problem"), tasks, strict=True):
        check_problem(name, task)
    for stale in args.output.glob("Prob*"):
        stale.unlink()
    for name, task in zip(names, tasks, strict=True):
        write_text(args.output / f"{name}_prompt.txt", f"{task.prompt}\n")
        write_text(args.output / f"{name}_ref.sv", f"{solution_as_reference(task.module())}\n")
        write_text(args.output / f"{name}_test.sv", bench(task))
    write_text(args.output / "problems.txt", "".join(f"{name}\n" for name in names))
    print(f"{args.output}: {len(names)} problems")


if __name__ == "__main__":
    main()
