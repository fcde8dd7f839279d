"""What Tunix's trainer is asked to tell: a row of metrics a step, TensorBoard's scalars, the progress bar."""

from __future__ import annotations

import time
from typing import Any

import jax
import numpy as np
import optax
from tqdm import tqdm
from tunix.sft import hooks, metrics_logger

from scripts.train.record import MetricsLog, StepResult, require_finite
from scripts.train.run_plan import HeldOut

# What JAX reports of each program that XLA compiles, or finds in the persistent cache.
COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


class CompileClock:
    """Adds up the time of XLA's compiler in this process, until JAX's listeners are cleared."""

    def __init__(self) -> None:
        self._seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event: str, duration_secs: float, **_: Any) -> None:
        if event == COMPILE_EVENT:
            self._seconds += duration_secs

    def take_sec(self) -> float:
        """Seconds since this was asked last."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


class Recorder(hooks.TrainingHooks):
    """Adds up the losses of an optimizer step's micro-batches: a row of metrics, and the progress bar.

    Measures the loss of `held_out` too where it is due, before the row is written and the step is saved; `part` is the
    part of its micro-batches' rows that this process computes, and of how many.
    """

    def __init__(
        self,
        log: MetricsLog,
        schedule: optax.Schedule,
        step_ends: np.ndarray,
        progress: tqdm,
        held_out: HeldOut | None,
        part: tuple[int, int],
    ) -> None:
        self._log = log
        self._schedule = schedule
        self._step_of_end = {int(end): step for step, end in enumerate(step_ends, start=1)}
        self._progress = progress
        self._held_out = held_out
        self._part = part
        self._compiling = CompileClock()
        self._losses: list[Any] = []

    def on_train_step_end(self, train_ctx: Any, train_step: int, train_loss: Any) -> None:
        # Kept on the device: only the end of an optimizer step waits for it.
        self._losses.append((train_loss, train_ctx.sequence_nll))
        step = self._step_of_end.get(train_step)
        if step is None:
            return
        losses, self._losses = jax.device_get(self._losses), []
        memory = jax.local_devices()[0].memory_stats() or {}
        compile_sec = self._compiling.take_sec()
        held_out_loss, held_out_sec = self._measure_held_out(train_ctx, step)
        result = StepResult(
            loss=float(sum(loss for loss, _ in losses)),
            sequence_nll=float(sum(nll for _, nll in losses)),
            grad_norm=float(train_ctx.grad_norm),
            learning_rate=float(self._schedule(step - 1)),
            compile_sec=compile_sec,
            device_memory_peak_bytes=memory.get("peak_bytes_in_use"),
            held_out_loss=held_out_loss,
            held_out_sec=held_out_sec,
        )
        require_finite(step, result)
        self._show(train_ctx.metrics_logger, step, self._log.add(step, result))

    def _measure_held_out(self, train_ctx: Any, step: int) -> tuple[float | None, float]:
        """The held-out loss, None where it is not due, and the seconds that it took."""
        if self._held_out is None or not self._held_out.is_due(step):
            return None, 0.0
        started = time.perf_counter()
        loss = train_ctx.held_out_loss(self._held_out, *self._part)
        self._compiling.take_sec()  # of this measurement, and counted in its seconds
        return loss, time.perf_counter() - started

    def _show(self, logger: metrics_logger.MetricsLogger, step: int, row: dict[str, Any]) -> None:
        for name in ("loss", "sequence_loss", "grad_norm", "learning_rate"):
            logger.log("", name, row[name], metrics_logger.Mode.TRAIN, step)
        if row["held_out_loss"] is not None:
            logger.log("", "held_out_loss", row["held_out_loss"], metrics_logger.Mode.EVAL, step)
        rates = {name: row[f"{name}_tokens"] / row["step_sec"] for name in ("real", "padded")}
        self._progress.set_postfix_str(
            f"loss {row['loss']:.3f}, rate {row['learning_rate']:.1e}, tokens/s {rates['real']:.0f} real, "
            f"{rates['padded']:.0f} padded",
            refresh=False,
        )
        self._progress.update()

    def on_train_start(self, train_ctx: Any) -> None: ...
    def on_train_end(self, train_ctx: Any) -> None: ...
    def on_train_step_start(self, train_ctx: Any) -> None: ...
    def on_eval_step_start(self, train_ctx: Any) -> None: ...
    def on_eval_step_end(self, train_ctx: Any, eval_loss: float) -> None: ...
