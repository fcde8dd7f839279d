"""The TRL training loop: SFTTrainer with this project's loss, samples, schedule and metrics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import datasets
import peft
import torch
import transformers
import trl
from transformers.trainer_utils import get_last_checkpoint

from scripts.common.batching import BatchPlan
from scripts.common.hf_gemma4 import load_model
from scripts.common.lora import LoraSettings, hf_target_pattern
from scripts.common.token_rows import TokenRows, batch_arrays
from scripts.train.record import FinishedRun, MetricsLog
from scripts.train.run_plan import plan_run
from scripts.train.settings import TrainSettings, clamped_warmup


def answer_loss(logits: torch.Tensor, tokens: torch.Tensor, loss_weights: torch.Tensor) -> torch.Tensor:
    """Weighted negative log-likelihood of the micro-batch's answers, in nats: the Tunix arm's loss.

    `logits` has shape (rows, row_len, vocabulary), the others (rows, row_len).
    """
    nll = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), tokens[:, 1:].long(), reduction="none"
    )
    return (nll * loss_weights[:, 1:]).sum()


class AnswerTrainer(trl.SFTTrainer):
    """SFTTrainer with the Tunix arm's loss. What the Trainer counts as a batch is a whole optimizer step here: its
    micro-batches, of which there may be more in one step than in another, are gone through in `training_step`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The weights hold the division by the step's samples: Trainer must not divide again.
        self.loss_is_scaled_for_ga = True

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
        # Without an attention mask, transformers takes positions that start again for the bounds of documents.
        outputs = model(input_ids=inputs["tokens"], position_ids=inputs["positions"], use_cache=False)
        # Gradients and logged losses are means over the processes, each of which has a part of the step's samples.
        loss = answer_loss(outputs.logits, inputs["tokens"], inputs["loss_weights"]) * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


class Recorder(transformers.TrainerCallback):
    """Writes a row of metrics for each optimizer step."""

    def __init__(self, log: MetricsLog) -> None:
        self._log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self._log.add(state.global_step, logs["loss"], logs["learning_rate"])


def peft_config(lora: LoraSettings) -> peft.LoraConfig:
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=hf_target_pattern(),
        task_type="CAUSAL_LM",
    )


def trainer_config(settings: TrainSettings, fsdp: bool, steps: int, state: Path) -> trl.SFTConfig:
    on_cpu = settings.hardware_kind == "cpu"
    sharding: dict[str, Any] = {"fsdp": True, "fsdp_config": {"version": 2}} if fsdp else {}
    return trl.SFTConfig(
        output_dir=str(state / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=1,  # of the data set below: a step's part for one process
        learning_rate=settings.peak_learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=clamped_warmup(settings.warmup_steps, steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=0.0,  # no clipping, as in the Tunix arm
        train_sampling_strategy="sequential",
        seed=settings.seed,
        use_cpu=on_cpu,
        bf16=settings.dtype == "bfloat16",
        gradient_checkpointing=settings.remat == "decoder",
        save_steps=settings.checkpoint_interval_steps,
        save_total_limit=settings.checkpoints_kept,
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
    settings: TrainSettings, processes: int, fsdp: bool, base_folder: Path, tokens: Path, state: Path
) -> FinishedRun | None:
    """Trains to the end, from the newest checkpoint in `state` if there is one; leaves the adapter in `state`/adapter.

    Returns None on every process but the main one.
    """
    transformers.set_seed(settings.seed)  # PEFT draws A from torch's generator
    rows, plan = plan_run(settings, tokens, data_shards=processes)
    checkpoints = state / "checkpoints"
    resume = get_last_checkpoint(checkpoints) if checkpoints.is_dir() else None
    resumed_step = int(Path(resume).name.rpartition("-")[2]) if resume else 0
    is_main = int(os.environ.get("RANK", "0")) == 0
    log = MetricsLog(state / "metrics.jsonl", resumed_step, rows, plan) if is_main else None
    steps = len(plan.steps)
    trainer = AnswerTrainer(
        model=load_model(base_folder, settings.dtype),
        args=trainer_config(settings, fsdp, steps, state),
        train_dataset=datasets.Dataset.from_dict({"part": range(steps * processes)}),
        data_collator=lambda items: step_tensors(rows, plan, items[0]["part"], processes),
        processing_class=transformers.AutoTokenizer.from_pretrained(base_folder),
        peft_config=peft_config(settings.lora),
        callbacks=[Recorder(log)] if log else [],
    )
    trainer.train(resume_from_checkpoint=resume)
    adapter = state / "adapter"
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
