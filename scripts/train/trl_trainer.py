"""The TRL training loop: SFTTrainer with this project's loss, samples, schedule and metrics."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import accelerate.utils
import datasets
import peft
import torch
import transformers
import trl

from scripts.common.batching import BatchPlan
from scripts.common.errors import Stopped
from scripts.common.hf_gemma4 import load_model
from scripts.common.lora import LoraSettings, hf_target_pattern
from scripts.common.token_rows import TokenRows, batch_arrays
from scripts.train.record import FinishedRun, MetricsLog, StepResult, require_finite
from scripts.train.run_plan import HeldOut, plan_run
from scripts.train.run_state import METRICS, RunState, restore_metrics
from scripts.train.settings import TrainSettings, clamped_warmup
from scripts.train.stopping import StopRequest

# The Trainer measures a gradient's norm only where it would clip it: to a norm that none reaches.
NEVER_CLIPPED = 1e30
# What transformers puts before the number of a checkpoint, which counts optimizer steps.
CHECKPOINT_PREFIX = "checkpoint-"


def weighted_nll(logits: torch.Tensor, tokens: torch.Tensor, *weights: torch.Tensor) -> list[torch.Tensor]:
    """Sum of weights x negative log-likelihood of each token as a target, in nats, for each of the `weights`.

    `logits` has shape (rows, row_len, vocabulary), the others (rows, row_len). With the loss weights it is the Tunix
    arm's loss.
    """
    nll = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), tokens[:, 1:].long(), reduction="none"
    )
    return [(nll * weight[:, 1:]).sum() for weight in weights]


def forward(model: Any, inputs: dict[str, torch.Tensor]) -> Any:
    """What `model` makes of a micro-batch of `step_tensors`."""
    # Without an attention mask, transformers takes positions that start again for the bounds of documents.
    return model(input_ids=inputs["tokens"], position_ids=inputs["positions"], use_cache=False)


class AnswerTrainer(trl.SFTTrainer):
    """SFTTrainer with the Tunix arm's loss. What the Trainer counts as a batch is a whole optimizer step here: its
    micro-batches, of which there may be more in one step than in another, are gone through in `training_step`."""

    def __init__(self, *args: Any, held_out: HeldOut | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_out = held_out
        # The weights hold the division by the step's samples: Trainer must not divide again.
        self.loss_is_scaled_for_ga = True
        self._sequence_nll = torch.zeros((), device=self.args.device)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """The step's loss on this process; the gradients are shared with the other processes after the last
        micro-batch only."""
        *others, last = inputs["micro_batches"]
        loss = torch.zeros((), device=self.args.device)
        with self.accelerator.no_sync(model):
            for micro_batch in others:
                loss = loss + super().training_step(model, micro_batch)
        return loss + super().training_step(model, last)

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = forward(model, inputs)
        # Gradients and logged losses are means over the processes, each of which has a part of the step's samples.
        after_first = ((inputs["documents"] > 0) & (inputs["positions"] > 0)).float()
        loss, sequence_nll = weighted_nll(outputs.logits, inputs["tokens"], inputs["loss_weights"], after_first)
        self._sequence_nll += sequence_nll.detach()
        loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the step's negative log-likelihood over the whole samples, of all processes."""
        if "loss" in logs:
            total = self.accelerator.reduce(self._sequence_nll, reduction="sum")
            logs = {**logs, "sequence_nll": total.item()}
            self._sequence_nll = torch.zeros_like(self._sequence_nll)
            if self._held_out is not None and self._held_out.is_due(self.state.global_step):
                started = time.perf_counter()
                logs["held_out_loss"] = self.held_out_loss(self._held_out)
                logs["held_out_sec"] = time.perf_counter() - started
        super().log(logs, start_time)

    def held_out_loss(self, held_out: HeldOut) -> float:
        """The mean over the held-out samples of the mean over each answer, in nats, without dropout."""
        processes = self.accelerator.num_processes
        part = step_tensors(held_out.rows, held_out.plan, self.accelerator.process_index, processes)
        total = torch.zeros((), device=self.args.device)
        model = self.model_wrapped.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for micro_batch in map(self._prepare_inputs, part["micro_batches"]):
                logits = forward(model, micro_batch).logits
                (loss,) = weighted_nll(logits, micro_batch["tokens"], micro_batch["loss_weights"])
                total += loss
        model.train()
        return float(self.accelerator.reduce(total, reduction="sum").item())


class Recorder(transformers.TrainerCallback):
    """Writes a row of metrics for each optimizer step; where another process does that, it looks at them only."""

    def __init__(self, log: MetricsLog | None) -> None:
        self._log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
            result = StepResult(
                loss=logs["loss"],
                sequence_nll=logs["sequence_nll"],
                grad_norm=float(logs["grad_norm"]),
                learning_rate=logs["learning_rate"],
                device_memory_peak_bytes=memory,
                held_out_loss=logs.get("held_out_loss"),
                held_out_sec=logs.get("held_out_sec", 0.0),
            )
            require_finite(state.global_step, result)
            if self._log is not None:
                self._log.add(state.global_step, result)


class Checkpoints(transformers.TrainerCallback):
    """Completes the checkpoints that the Trainer writes, and has it save and end when the process is asked to end."""

    def __init__(self, state: RunState, stop: StopRequest) -> None:
        self._state = state
        self._stop = stop
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # All processes save, or none does: the signal reaches them in different steps.
        asked = torch.tensor(float(self._stop.requested), device=args.device)
        if accelerate.utils.reduce(asked).item() and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        accelerate.utils.wait_for_everyone()  # each process writes files of its own
        if self._state.store is not None:
            folder = self._state.folder / "checkpoints" / f"{CHECKPOINT_PREFIX}{state.global_step}"
            shutil.copyfile(self._state.folder / METRICS, folder / METRICS)
            self._state.store.adopt(state.global_step)


def newest_step(state: RunState) -> int:
    """The step of the newest checkpoint, found by the main process and the same on all; 0 where there is none."""
    step = [0]
    if state.store is not None:
        newest = state.store.newest()
        restore_metrics(state, newest)
        step = [newest.position if newest else 0]
    accelerate.utils.broadcast_object_list(step)
    return step[0]


def peft_config(lora: LoraSettings) -> peft.LoraConfig:
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=hf_target_pattern(),
        task_type="CAUSAL_LM",
    )


def trainer_config(settings: TrainSettings, fsdp: bool, steps: int, checkpoints: Path) -> trl.SFTConfig:
    on_cpu = settings.hardware_kind == "cpu"
    sharding: dict[str, Any] = {"fsdp": True, "fsdp_config": {"version": 2}} if fsdp else {}
    return trl.SFTConfig(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=1,  # of the data set below: a step's part for one process
        learning_rate=settings.peak_learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=clamped_warmup(settings.warmup_steps, steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=NEVER_CLIPPED if settings.max_grad_norm is None else settings.max_grad_norm,
        train_sampling_strategy="sequential",
        seed=settings.seed,
        use_cpu=on_cpu,
        bf16=settings.dtype == "bfloat16",
        gradient_checkpointing=settings.remat == "decoder",
        save_steps=settings.checkpoint_interval_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=False,
        **sharding,
    )


def run_training(
    settings: TrainSettings,
    processes: int,
    fsdp: bool,
    base_folder: Path,
    tokens: Path,
    state: RunState,
    stop: StopRequest,
) -> FinishedRun | None:
    """Trains to the end, from the newest checkpoint in `state` if there is one; leaves the adapter in its folder.

    Returns None on every process but the main one. Raises Stopped when asked to end before that, with the state saved.
    """
    transformers.set_seed(settings.seed)  # PEFT draws A from torch's generator
    rows, plan, held_out = plan_run(settings, tokens, data_shards=processes)
    steps = len(plan.steps)
    checkpoints = state.folder / "checkpoints"
    config = trainer_config(settings, fsdp, steps, checkpoints)  # lets the processes find each other
    resumed_step = newest_step(state)
    log = MetricsLog(state.folder / METRICS, resumed_step, rows, plan) if state.store is not None else None
    saving = Checkpoints(state, stop)
    trainer = AnswerTrainer(
        model=load_model(base_folder, settings.dtype),
        args=config,
        train_dataset=datasets.Dataset.from_dict({"part": range(steps * processes)}),
        data_collator=lambda items: step_tensors(rows, plan, items[0]["part"], processes),
        processing_class=transformers.AutoTokenizer.from_pretrained(base_folder),
        peft_config=peft_config(settings.lora),
        held_out=held_out,
        callbacks=[Recorder(log), saving],
    )
    with stop.deferred():
        trainer.train(
            resume_from_checkpoint=str(checkpoints / f"{CHECKPOINT_PREFIX}{resumed_step}") if resumed_step else None
        )
    if saving.stopped:
        raise Stopped(f"SIGTERM: saved after optimizer step {trainer.state.global_step} of {steps}")
    adapter = state.folder / "adapter"
    trainer.save_model(str(adapter))
    if log is None:
        return None
    return FinishedRun(log, adapter, sum(p.numel() for p in trainer.model.parameters() if p.requires_grad))


def step_tensors(rows: TokenRows, plan: BatchPlan, part: int, processes: int) -> dict[str, list[dict[str, Any]]]:
    """The micro-batches of one process in one step, as tensors of shape (rows, row_len).

    `part` counts steps and in each step the processes: accelerate deals parts out to the processes in turn.
    """
    step, process = divmod(part, processes)
    shards = [micro_batch.shard(process, processes) for micro_batch in plan.steps[step]]
    arrays = [batch_arrays(rows, shard, plan.samples_per_step) for shard in shards]
    return {"micro_batches": [{name: torch.from_numpy(a) for name, a in batch.items()} for batch in arrays]}
