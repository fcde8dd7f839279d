"""Tasks: every family's solutions do what their Python models say, and a wrong solution is found."""

import dataclasses
import itertools
import random

import pytest

from scripts.mini.combinational import lookup
from scripts.mini.generator import FAMILIES, Family, problem_tasks, training_tasks
from scripts.mini.simulation import SolutionError, check_tasks, stimulus
from scripts.mini.tasks import Port, Task, module_of_response, response, row


@pytest.mark.parametrize("family", [*FAMILIES, lookup], ids=lambda family: family.__name__)
def test_solutions_of_a_family_agree_with_their_models(family: Family) -> None:
    rng = random.Random(7)
    check_tasks([family(rng) for _ in range(12)], seed=1)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_solution_whose_body_does_nothing_is_found(family: Family) -> None:
    task = family(random.Random(3))
    with pytest.raises(SolutionError):
        check_tasks([dataclasses.replace(task, body=())], seed=1)


def test_a_solution_that_does_not_compile_is_found() -> None:
    task = FAMILIES[0](random.Random(0))
    with pytest.raises(SolutionError, match="iverilog"):
        check_tasks([dataclasses.replace(task, body=("assign nothing",))], seed=0)


def test_every_combination_is_tried_where_there_are_few() -> None:
    task = next(t for t in training_tasks("test", 0, 0) if not t.clocked and sum(p.width for p in t.inputs) == 4)
    tried = {tuple(sample.values()) for sample in stimulus(task, seed=0)}
    assert len(tried) == 16


def test_a_reset_is_held_in_the_first_sample_and_falls_again_later() -> None:
    task = next(t for t in training_tasks("test", 0, 0) if t.reset and t.reset[0] in ("rst", "reset"))
    name, active = task.reset or ("", 0)
    values = [sample[name] for sample in stimulus(task, seed=0)]
    assert values[0] == active
    assert 1 <= values[1:].count(active) <= 24


def test_training_tasks_repeat_no_prompt_and_no_circuit_of_a_problem() -> None:
    tasks = list(itertools.islice(training_tasks("test", 1, problem_seed=0), 3000))
    assert len({task.prompt for task in tasks}) == len(tasks)
    assert not {task.key for task in tasks} & {task.key for task in problem_tasks(0)}
    assert {task.family for task in tasks} == {task.family for task in problem_tasks(0)}


def test_the_streams_are_the_same_for_a_seed_and_others_for_another() -> None:
    def prompts(label: str, seed: int) -> list[str]:
        return [task.prompt for task in itertools.islice(training_tasks(label, seed, 0), 50)]

    assert prompts("corpus", 0) == prompts("corpus", 0)
    assert prompts("corpus", 0) != prompts("corpus", 1)
    assert prompts("corpus", 0) != prompts("pretraining", 0)


def test_a_row_gives_its_module_back() -> None:
    task = FAMILIES[0](random.Random(0))
    assert module_of_response(row(task)["response"]) == task.module()
    assert module_of_response(response("why", "assign y = a;")) is None


@pytest.mark.parametrize(
    "ports",
    [
        lambda: (Port("a", 0),),
        lambda: (Port("a", registered=True),),
        lambda: Task("f", (), (Port("a"), Port("a")), "", (), "", model=lambda samples: []),
    ],
)
def test_impossible_ports_are_refused(ports: object) -> None:
    with pytest.raises(ValueError, match=r"port"):
        ports()  # type: ignore[operator]
