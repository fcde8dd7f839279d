"""The Tunix training loop: PeftTrainer with this project's loss, samples, schedule and metrics."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
import optax
from flax import nnx
from tqdm import tqdm
from tunix.sft import metrics_logger, peft_trainer

from scripts.common import tunix_gemma4
from scripts.common.batching import BatchPlan
from scripts.common.token_rows import TokenRows, batch_arrays
from scripts.common.tunix_step import DONATED_ARGUMENTS, LOSSES, Batch, evaluator, lora_optimizer, train_step
from scripts.train.hosts import is_writer
from scripts.train.record import FinishedRun, MetricsLog
from scripts.train.run_plan import HeldOut, plan_run
from scripts.train.run_state import METRICS, RunState
from scripts.train.settings import TrainSettings, clamped_warmup
from scripts.train.stopping import StopRequest
from scripts.train.tunix_checkpoints import TunixCheckpoints
from scripts.train.tunix_model import count_lora_parameters, place, trainable_model
from scripts.train.tunix_recorder import Recorder


def learning_rate_schedule(settings: TrainSettings, steps: int) -> optax.Schedule:
    """Linear warm-up from 0 to the peak, cosine decay to 0 at `steps` (paper, section 3.7)."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=settings.peak_learning_rate,
        warmup_steps=clamped_warmup(settings.warmup_steps, steps),
        decay_steps=steps,
    )


def batches_from(
    rows: TokenRows, plan: BatchPlan, position: int, process_index: int = 0, process_count: int = 1
) -> Iterator[Batch]:
    """The run's micro-batches from `position` on, by Grain, which reads ahead; of each the rows of one process."""

    def load(index: int) -> Batch:
        micro_batch = micro_batches[index].shard(process_index, process_count)
        return Batch(**batch_arrays(rows, micro_batch, plan.samples_per_step))

    micro_batches = plan.micro_batches
    dataset = grain.MapDataset.range(position, len(micro_batches)).map(load)
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)))


class MicroBatchTrainer(peft_trainer.PeftTrainer):
    """Tunix's trainer with this project's train step. What Tunix counts as a step is a micro-batch here, since an
    optimizer step may have any number of them; the optimizer does the accumulating."""

    _buffered_train_metrics: peft_trainer.MetricsBuffer | None
    _jitted_train_step_fn: Any
    _evaluate: Callable[..., jax.Array] | None = None
    data_sharding: jax.sharding.Sharding
    loss: Callable[..., jax.Array]
    # Of the last micro-batch, on the device: see `train_step`.
    sequence_nll: jax.Array
    grad_norm: jax.Array

    def continue_with(self, checkpoints: TunixCheckpoints) -> int:
        """Hands saving over to `checkpoints`, after going back to the newest; returns the micro-batches it has seen."""
        self.checkpoint_manager = checkpoints
        self._train_steps = self._iter_steps = checkpoints.restore(self.model, self.optimizer)
        return self._train_steps

    def _prepare_inputs(self, input_data: Batch) -> Batch:
        """The micro-batch over all processes, made of each one's rows. Tunix would take the rows of one for all."""
        place = functools.partial(jax.make_array_from_process_local_data, self.data_sharding)
        return jax.tree.map(place, input_data)

    def create_train_step_fn(self) -> Callable[..., Any]:
        return functools.partial(train_step, loss=self.loss)

    def _post_process_train_step(self, aux: Any) -> None:
        self.sequence_nll = aux

    def jit_train_and_eval_step(self, skip_jit: bool = False, cache_nnx_graph: bool = False) -> tuple[Any, Any]:
        """Tunix's, with the plan's donated arguments: Tunix donates the optimizer alone."""
        if skip_jit or self._jitted_train_step_fn is not None:
            return super().jit_train_and_eval_step(skip_jit, cache_nnx_graph)
        _, evaluate = super().jit_train_and_eval_step(skip_jit, cache_nnx_graph)
        step = nnx.jit(self.create_train_step_fn(), donate_argnames=DONATED_ARGUMENTS)
        bind = nnx.cached_partial if cache_nnx_graph else functools.partial
        self._jitted_train_step_fn = functools.partial(bind(step, self.model, self.optimizer))
        return self._jitted_train_step_fn, evaluate

    def _write_train_metrics(self) -> None:
        """Hands the loss on at once. Tunix does it a step late: a run killed after a checkpoint would lack a row."""
        metrics, self._buffered_train_metrics = self._buffered_train_metrics, None
        if metrics is not None:
            (self.grad_norm,), _ = metrics.additional_metrics["grad_norm"]
            (loss,) = metrics.losses
            self.training_hooks.on_train_step_end(self, metrics.step + 1, loss)

    def held_out_loss(self, held_out: HeldOut, process_index: int = 0, process_count: int = 1) -> float:
        """The mean over the held-out samples of the mean over each answer, in nats, without dropout."""
        self._evaluate = self._evaluate or evaluator(self.model, self.loss)
        state = nnx.state(self.model)
        batches = batches_from(held_out.rows, held_out.plan, 0, process_index, process_count)
        return sum(float(self._evaluate(state, self._prepare_inputs(batch))) for batch in batches)


def process_part(mesh: jax.sharding.Mesh) -> tuple[int, int]:
    """Which part of a micro-batch's rows this process computes, and of how many: its devices' places along fsdp."""
    mine = np.flatnonzero([any(d.process_index == jax.process_index() for d in row) for row in mesh.devices])
    return int(mine[0]) // len(mine), mesh.devices.shape[0] // len(mine)


def run_training(
    settings: TrainSettings, fsdp: int, tp: int, base_folder: Path, tokens: Path, state: RunState, stop: StopRequest
) -> FinishedRun | None:
    """Trains to the end, from the newest checkpoint in `state` if there is one; returns the run's metrics, or None on
    a process that does not write. Raises Stopped when asked to end before that, with the state saved.
    """
    mesh = tunix_gemma4.make_mesh(fsdp, tp)
    rows, plan, held_out = plan_run(settings, tokens, data_shards=fsdp)
    step_ends = np.cumsum(plan.micro_batches_per_step)
    schedule = learning_rate_schedule(settings, len(plan.steps))
    with mesh:
        model = trainable_model(settings, base_folder, mesh)
        trainer = MicroBatchTrainer(
            model,
            lora_optimizer(schedule, settings.weight_decay, settings.max_grad_norm, plan.micro_batches_per_step),
            peft_trainer.TrainingConfig(
                eval_every_n_steps=len(plan.micro_batches) + 1,
                metrics_logging_options=metrics_logger.MetricsLoggerOptions(log_dir=str(state.folder / "tensorboard")),
            ),
        )
        trainer.loss = LOSSES[settings.cross_entropy]
        place(trainer.optimizer, mesh, "optimizer")
        trainer.data_sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(tunix_gemma4.MESH_AXES[0]))
        # Otherwise Tunix would read its way to the place where the checkpoint was made.
        trainer.is_managed_externally = True
        checkpoints = TunixCheckpoints(state, step_ends, settings.checkpoint_interval_steps, stop)
        position = trainer.continue_with(checkpoints)
        done = int(np.searchsorted(step_ends, position, side="right"))
        log = MetricsLog(state.folder / METRICS, done, rows, plan)
        checkpoints.on_saved = log.saved
        progress = tqdm(
            total=len(plan.steps), initial=done, desc=f"train {settings.arm}", unit="step", disable=not is_writer()
        )
        with contextlib.closing(trainer.metrics_logger), progress, stop.deferred():
            part = process_part(mesh)
            trainer.with_training_hooks(Recorder(log, schedule, step_ends, progress, held_out, part))
            trainer.train(batches_from(rows, plan, position, *part))
    if not is_writer():
        return None
    return FinishedRun(log, checkpoints.final_model_params(), count_lora_parameters(model))
