"""Draws tasks from all families; tasks of the problem set are held out from everything that a model is trained on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from scripts.mini import arithmetic, combinational, machines, sequential
from scripts.mini.tasks import Task

Family = Callable[[random.Random], Task]
FAMILIES: tuple[Family, ...] = (
    *combinational.FAMILIES,
    *arithmetic.FAMILIES,
    *sequential.FAMILIES,
    *machines.FAMILIES,
)
# Families that have few different circuits give one problem each, so that most circuits remain to learn from.
PROBLEMS_OF_FAMILY = dict.fromkeys(FAMILIES, 1) | dict.fromkeys(
    (
        combinational.gate,
        combinational.compare_constant,
        combinational.slice_bits,
        combinational.change_bit,
        arithmetic.constant_operand,
        sequential.register,
        sequential.counter,
        sequential.shift_register,
        machines.sequence_detector,
    ),
    2,
)


def problem_tasks(seed: int) -> list[Task]:
    """The tasks of the problem set, no two the same circuit."""
    rng = random.Random(f"problems {seed}")
    tasks: list[Task] = []
    for family, count in PROBLEMS_OF_FAMILY.items():
        keys: set[tuple[object, ...]] = set()
        while len(keys) < count:
            task = family(rng)
            if task.key not in keys:
                keys.add(task.key)
                tasks.append(task)
    return tasks


def training_tasks(label: str, seed: int, problem_seed: int) -> Iterator[Task]:
    """Endless tasks, never with the circuit of a problem, no prompt twice; `label` separates the streams."""
    rng = random.Random(f"{label} {seed}")
    held_out = {task.key for task in problem_tasks(problem_seed)}
    seen: set[str] = set()
    while True:
        task = rng.choice(FAMILIES)(rng)
        if task.key not in held_out and task.prompt not in seen:
            seen.add(task.prompt)
            yield task
