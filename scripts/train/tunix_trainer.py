"""The Tunix training loop: PeftTrainer with this project's loss, samples, schedule and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx, struct
from tqdm import tqdm
from tunix.sft import hooks, metrics_logger, peft_trainer

from scripts.common import tunix_gemma4
from scripts.common.errors import UserError
from scripts.common.token_rows import TokenRows, pad_rows, read_token_rows
from scripts.train.batches import real_tokens_by_step, sample_order
from scripts.train.record import FinishedRun, MetricsLog
from scripts.train.settings import TrainSettings, clamped_warmup


@struct.dataclass(frozen=True)
class Batch:
    """One micro-batch; int32 arrays of shape (batch, seq_len)."""

    tokens: Any
    loss_mask: Any
    valid: Any


def answer_loss(model: nnx.Module, tokens: jax.Array, loss_mask: jax.Array, valid: jax.Array) -> jax.Array:
    """Mean over samples of the mean negative log-likelihood of each sample's masked tokens, in nats.

    All arguments have shape (batch, seq_len). With one sample a micro-batch this is Tunix's own loss.
    """
    positions, attention_mask = tunix_gemma4.causal_inputs(valid)
    logits, _ = model(tokens, positions, None, attention_mask)
    targets, mask = tokens[:, 1:], loss_mask[:, 1:].astype(jnp.float32)
    nll = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1].astype(jnp.float32), targets)
    per_sample = (nll * mask).sum(axis=1) / mask.sum(axis=1)
    return per_sample.mean()


def learning_rate_schedule(settings: TrainSettings, steps: int) -> optax.Schedule:
    """Linear warm-up from 0 to the peak, cosine decay to 0 at `steps` (paper, section 3.7)."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=settings.peak_learning_rate,
        warmup_steps=clamped_warmup(settings.warmup_steps, steps),
        decay_steps=steps,
    )


def micro_batches(rows: TokenRows, order: np.ndarray, micro_batch_size: int, seq_len: int) -> Iterator[Batch]:
    """Every micro-batch of the run in order, by Grain: `order` has shape (steps, samples_per_step)."""
    dataset = grain.MapDataset.source(order.reshape(-1, micro_batch_size)).map(  # type: ignore[arg-type]
        lambda indices: Batch(**pad_rows(rows, indices, seq_len))
    )
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)))


class Recorder(hooks.TrainingHooks):
    """Tunix calls it after each optimizer step: a row of metrics, and the progress bar."""

    def __init__(self, log: MetricsLog, schedule: optax.Schedule, progress: tqdm) -> None:
        self._log = log
        self._schedule = schedule
        self._progress = progress

    def on_train_step_end(self, train_ctx: Any, train_step: int, train_loss: float) -> None:
        rate = float(self._schedule(train_step - 1))
        self._log.add(train_step, float(train_loss), rate)
        self._progress.set_postfix(loss=f"{float(train_loss):.3f}", lr=f"{rate:.1e}", refresh=False)
        self._progress.update()

    def on_train_start(self, train_ctx: Any) -> None: ...
    def on_train_end(self, train_ctx: Any) -> None: ...
    def on_train_step_start(self, train_ctx: Any) -> None: ...
    def on_eval_step_start(self, train_ctx: Any) -> None: ...
    def on_eval_step_end(self, train_ctx: Any, eval_loss: float) -> None: ...


def count_lora_parameters(model: nnx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.LoRAParam)))


def run_training(
    settings: TrainSettings, fsdp: int, tp: int, base_folder: Path, tokens: Path, state: Path
) -> FinishedRun:
    """Trains to the end, from the newest checkpoint in `state` if there is one; returns the run's metrics.

    The final checkpoint is `state`/checkpoints/STEP.
    """
    mesh = tunix_gemma4.make_mesh(fsdp, tp)
    rows = read_token_rows(tokens)
    try:
        order = sample_order(len(rows), settings.epochs, settings.samples_per_step, settings.seed)
    except ValueError as error:
        raise UserError(f"{tokens}: {error}") from None
    steps = len(order)
    accumulation = settings.accumulation_steps(fsdp)
    schedule = learning_rate_schedule(settings, steps)
    with mesh:
        model = tunix_gemma4.load_model(base_folder, mesh, settings.dtype)
        model = tunix_gemma4.add_lora(model, settings.lora, mesh, settings.seed)
        if settings.lora.dropout > 0:
            tunix_gemma4.seed_dropout(model, settings.seed)
        if settings.remat == "decoder":
            tunix_gemma4.rematerialize_decoder_layers(model)
        trainer = peft_trainer.PeftTrainer(
            model,
            optax.adamw(schedule, weight_decay=settings.weight_decay),
            peft_trainer.TrainingConfig(
                eval_every_n_steps=steps + 1,
                gradient_accumulation_steps=accumulation,
                checkpoint_root_directory=str(state / "checkpoints"),
                checkpointing_options=ocp.CheckpointManagerOptions(
                    save_interval_steps=settings.checkpoint_interval_steps, max_to_keep=settings.checkpoints_kept
                ),
                metrics_logging_options=metrics_logger.MetricsLoggerOptions(log_dir=str(state / "tensorboard")),
            ),
        )
        trainer = trainer.with_loss_fn(answer_loss).with_gen_model_input_fn(
            lambda batch: {"tokens": batch.tokens, "loss_mask": batch.loss_mask, "valid": batch.valid}
        )
        seq_len = settings.max_seq_len_tokens
        real_tokens = real_tokens_by_step(rows, order)
        log = MetricsLog(state / "metrics.jsonl", trainer.train_steps, real_tokens, settings.samples_per_step * seq_len)
        with tqdm(total=steps, initial=trainer.train_steps, desc=f"train {settings.arm}", unit="step") as progress:
            trainer.with_training_hooks(Recorder(log, schedule, progress))
            trainer.train(micro_batches(rows, order, settings.micro_batch_size * fsdp, seq_len))
    return FinishedRun(log, count_lora_parameters(model))
