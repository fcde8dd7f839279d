"""Work in order over several processes, with no more of it in memory than keeps them busy."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

from scripts.common.processes import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

# Tasks given out for each process: one under way and one waiting.
TASKS_PER_PROCESS = 2
# Set in each worker process when it starts.
_function: Callable[[Any], Any]


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """`function` of each item, in the items' order; in this process if `processes` is 1.

    The processes are forked, so that they share what `function` refers to. They end with this one, however it ends.
    """
    if processes == 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(function,)) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(_call, item))
            if len(waiting) >= TASKS_PER_PROCESS * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def batched(items: Iterable[Item], count: int, limit: int, size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Items in order in lists worth sending to another process: at most `count`, and no more once their sizes add up
    to `limit`."""
    batch: list[Item] = []
    total = 0
    for item in items:
        batch.append(item)
        total += size(item)
        if len(batch) == count or total >= limit:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _start(function: Callable[[Any], Any]) -> None:
    global _function
    die_with_parent()
    _function = function


def _call(item: Any) -> Any:
    return _function(item)
