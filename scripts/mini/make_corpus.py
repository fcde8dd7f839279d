"""Writes the mini corpus: rows {"prompt", "response"} in CodeV-R1's form, each solution simulated before.

python -m scripts.mini.make_corpus
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Sequence
from pathlib import Path

from scripts.common.errors import entry_point
from scripts.common.files import write_jsonl
from scripts.mini.combinational import lookup
from scripts.mini.generator import training_tasks
from scripts.mini.simulation import check_tasks
from scripts.mini.tasks import Task, response, row


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("resources/mini/corpus.jsonl"))
    parser.add_argument("--rows", type=int, default=1560, help="rows that pass the filters")
    parser.add_argument("--faulty-rows", type=int, default=14, help="rows of each kind that the filters must drop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--problem-seed", type=int, default=0, help="seed of the problems, which are held out")
    return parser.parse_args(argv)


def without_answer(task: Task) -> dict[str, str]:
    """A row whose reasoning never came to an answer."""
    return {"prompt": task.prompt, "response": f"<think>{task.reasoning} But wait, let me check the ports"}


def without_module(task: Task) -> dict[str, str]:
    """A row that answers with statements that no module holds."""
    return {"prompt": task.prompt, "response": response(task.reasoning, "\n".join(task.body))}


def corpus_rows(
    tasks: Sequence[Task], rows: int, faulty: int, rng: random.Random
) -> tuple[list[Task], list[dict[str, str]]]:
    """The tasks to simulate and the rows in the corpus's order, from `rows` + 2 `faulty` tasks and `faulty` tables."""
    tables = [lookup(rng) for _ in range(faulty)]
    lines = [row(task) for task in (*tasks[:rows], *tables)]
    lines += [without_answer(task) for task in tasks[rows : rows + faulty]]
    lines += [without_module(task) for task in tasks[rows + faulty :]]
    rng.shuffle(lines)
    return [*tasks, *tables], lines


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    stream = training_tasks("corpus", args.seed, args.problem_seed)
    tasks = list(itertools.islice(stream, args.rows + 2 * args.faulty_rows))
    rng = random.Random(f"faulty {args.seed}")
    simulated, lines = corpus_rows(tasks, args.rows, args.faulty_rows, rng)
    check_tasks(simulated, args.seed)
    write_jsonl(args.output, lines)
    print(f"{args.output}: {len(lines)} rows, {len(simulated)} solutions simulated")


if __name__ == "__main__":
    main()
