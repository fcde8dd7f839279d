"""When a Tunix run saves and from where it goes on, on every process of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from scripts.common.errors import Stopped, UserError
from scripts.train import orbax_state
from scripts.train.hosts import from_writer, on_any
from scripts.train.run_state import METRICS, RunState, restore_metrics
from scripts.train.stopping import StopRequest


class TunixCheckpoints:
    """Takes the place of Tunix's checkpoint manager: its trainer calls `save` after every micro-batch.

    Checkpoints are numbered by the micro-batches that they have seen, and are made at the end of every
    `interval_steps`-th optimizer step, of the last one, and of the one in which the process is asked to end.
    """

    def __init__(self, state: RunState, step_ends: np.ndarray, interval_steps: int, stop: StopRequest) -> None:
        self._state = state
        self._step_of_end = {int(end): step for step, end in enumerate(step_ends, start=1)}
        self._steps = len(step_ends)
        self._interval_steps = interval_steps
        self._stop = stop
        self.on_saved: Callable[[float], None] = lambda seconds: None

    def restore(self, model: nnx.Module, optimizer: nnx.Optimizer) -> int:
        """Puts the newest checkpoint into `model` and `optimizer`; returns its number, 0 where there is none.

        The writer looks for it and sees that the next will fit on its disk; all processes get the same, or the error.
        """
        store, newest, problem = self._state.store, None, None
        try:
            if store is not None:
                newest = store.newest()
                restore_metrics(self._state, newest)
                store.make_room(orbax_state.size_bytes(orbax_state.state_of(model, optimizer)))
        except UserError as error:
            problem = error
        _raise_together(problem)
        position = from_writer(newest.position if newest else 0)
        if position:
            orbax_state.restore(model, optimizer, newest.folder if newest else None)
        return position

    def save(self, step: int, model: nnx.Module, optimizer: nnx.Optimizer, **_: Any) -> None:
        """`step` is Tunix's, a micro-batch. Raises Stopped when the run was asked to end and is saved."""
        finished = self._step_of_end.get(step)
        if finished is None:
            return
        stopping = on_any(self._stop.requested)
        last = finished == self._steps
        if finished % self._interval_steps == 0 or last or stopping:
            started = time.perf_counter()
            self._write(step, model, optimizer)
            self.on_saved(time.perf_counter() - started)
        if stopping and not last:
            raise Stopped(f"SIGTERM: saved after optimizer step {finished} of {self._steps}")

    def final_model_params(self) -> Path:
        """The folder of the last checkpoint's LoRA factors, on the writer."""
        assert self._state.store is not None
        return self._state.store.folder / str(max(self._step_of_end)) / orbax_state.MODEL_PARAMS

    def _write(self, position: int, model: nnx.Module, optimizer: nnx.Optimizer) -> None:
        parts = orbax_state.state_of(model, optimizer)
        arrays = orbax_state.host_arrays(parts)

        def fill(folder: Path) -> None:
            orbax_state.write_arrays(folder, arrays)
            shutil.copyfile(self._state.folder / METRICS, folder / METRICS)

        problem = None
        if self._state.store is not None:
            try:
                self._state.store.write(position, fill, orbax_state.size_bytes(parts))
            except UserError as error:
                problem = error
        _raise_together(problem)


def _raise_together(problem: UserError | None) -> None:
    """Raises the writer's `problem` on every process, so that none waits for another that has gone."""
    if on_any(problem is not None):
        raise problem or UserError("process 0 cannot use its checkpoints: its log says why")
