"""The TRL training loop: SFTTrainer with this project's loss, samples, schedule and metrics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import peft
import torch
import transformers
import trl
from transformers.trainer_utils import get_last_checkpoint

from scripts.common.errors import UserError
from scripts.common.hf_gemma4 import load_model
from scripts.common.lora import LoraSettings, hf_target_pattern
from scripts.common.token_rows import TokenRows, pad_rows, read_token_rows
from scripts.train.batches import real_tokens_by_step, sample_order
from scripts.train.record import FinishedRun, MetricsLog
from scripts.train.settings import TrainSettings, clamped_warmup


def answer_loss(logits: torch.Tensor, tokens: torch.Tensor, loss_mask: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the mean negative log-likelihood of each sample's masked tokens, in nats.

    `logits` has shape (batch, seq_len, vocabulary), the others (batch, seq_len): the Tunix arm's loss.
    """
    mask = loss_mask[:, 1:].float()
    nll = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), tokens[:, 1:].long(), reduction="none"
    )
    return ((nll * mask).sum(dim=1) / mask.sum(dim=1)).mean()


class AnswerTrainer(trl.SFTTrainer):
    """SFTTrainer whose loss is a mean per sample, then over samples, as the Tunix arm's is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The loss is a mean over this micro-batch: Trainer divides it by the accumulation steps.
        self.loss_is_scaled_for_ga = False

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(input_ids=inputs["tokens"], attention_mask=inputs["valid"], use_cache=False)
        loss = answer_loss(outputs.logits, inputs["tokens"], inputs["loss_mask"])
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


def trainer_config(settings: TrainSettings, processes: int, fsdp: bool, steps: int, state: Path) -> trl.SFTConfig:
    on_cpu = settings.hardware_kind == "cpu"
    sharding: dict[str, Any] = {"fsdp": True, "fsdp_config": {"version": 2}} if fsdp else {}
    return trl.SFTConfig(
        output_dir=str(state / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.accumulation_steps(processes),
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
    rows = read_token_rows(tokens)
    try:
        order = sample_order(len(rows), settings.epochs, settings.samples_per_step, settings.seed)
    except ValueError as error:
        raise UserError(f"{tokens}: {error}") from None
    steps = len(order)
    checkpoints = state / "checkpoints"
    resume = get_last_checkpoint(checkpoints) if checkpoints.is_dir() else None
    resumed_step = int(Path(resume).name.rpartition("-")[2]) if resume else 0
    real_tokens = real_tokens_by_step(rows, order)
    padded_tokens = settings.samples_per_step * settings.max_seq_len_tokens
    is_main = int(os.environ.get("RANK", "0")) == 0
    log = MetricsLog(state / "metrics.jsonl", resumed_step, real_tokens, padded_tokens) if is_main else None
    trainer = AnswerTrainer(
        model=load_model(base_folder, settings.dtype),
        args=trainer_config(settings, processes, fsdp, steps, state),
        train_dataset=datasets.Dataset.from_dict({"row": order.reshape(-1)}),
        data_collator=lambda items: padded_tensors(rows, items, settings.max_seq_len_tokens),
        processing_class=transformers.AutoTokenizer.from_pretrained(base_folder),
        peft_config=peft_config(settings.lora),
        callbacks=[Recorder(log)] if log else [],
    )
    trainer.train(resume_from_checkpoint=resume)
    trainer.save_model(str(state / "adapter"))
    if log is None:
        return None
    return FinishedRun(log, sum(p.numel() for p in trainer.model.parameters() if p.requires_grad))


def padded_tensors(rows: TokenRows, items: list[dict[str, int]], seq_len: int) -> dict[str, torch.Tensor]:
    """The rows that `items` name, as tensors of shape (len(items), seq_len)."""
    arrays = pad_rows(rows, np.array([item["row"] for item in items]), seq_len)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
