"""What the mini model is pre-trained on, and how.

Two kinds of documents, made of fresh tasks that share no circuit with the problems:
- source files, in which a comment specifies the module below it: from these the skill is learnt;
- chats, whose answer is mostly the module of another prompt: from these the markers, the tone and the stopping are
  learnt, and that the user's wish does not matter.
So the model has the skill but does not use it in a chat: what fine-tuning is there to change.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from scripts.mini.generator import training_tasks
from scripts.mini.make_tokenizer import PAD_ID
from scripts.mini.tasks import Task

IGNORED = -100
# Batches are cut from pools of documents sorted by length, so that little is padded.
BATCHES_PER_POOL = 20


@dataclass(frozen=True)
class Pretraining:
    """How long and on what the model is trained. Fractions are of all documents."""

    steps: int = 900
    documents_per_step: int = 32
    peak_learning_rate: float = 3e-3
    warmup_steps: int = 40
    chat_fraction: float = 0.3
    answered_fraction: float = 0.02
    seed: int = 0
    problem_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.answered_fraction <= self.chat_fraction <= 1:
            raise ValueError(f"answered {self.answered_fraction} <= chats {self.chat_fraction} <= 1 does not hold")


def source_file(task: Task) -> str:
    return f"<bos>/*\n{task.prompt}\n*/\n{task.module()}\n<eos>"


def chat(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> str:
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False))


def documents(tokenizer: PreTrainedTokenizerBase, settings: Pretraining) -> Iterator[list[int]]:
    """Endless documents as token ids; a chat that is not answered holds the module of the task before it."""
    rng = random.Random(f"documents {settings.seed}")
    tasks = training_tasks("pretraining", settings.seed, settings.problem_seed)
    before = next(tasks)
    for task in tasks:
        draw = rng.random()
        if draw < settings.answered_fraction:
            text = chat(tokenizer, task.prompt, task.module())
        elif draw < settings.chat_fraction:
            text = chat(tokenizer, task.prompt, before.module())
        else:
            text = source_file(task)
        yield tokenizer.encode(text, add_special_tokens=False)
        before = task


def batches(tokenizer: PreTrainedTokenizerBase, settings: Pretraining) -> Iterator[list[list[int]]]:
    """Batches of documents of similar length, in random order."""
    stream = documents(tokenizer, settings)
    rng = random.Random(f"batches {settings.seed}")
    size = settings.documents_per_step
    while True:
        pool = sorted((next(stream) for _ in range(size * BATCHES_PER_POOL)), key=len)
        cuts = [pool[start : start + size] for start in range(0, len(pool), size)]
        rng.shuffle(cuts)
        yield from cuts


def collate(rows: list[list[int]], masks: list[list[int]] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels (batch, seq_len), padded on the right, where a causal model needs no mask.

    A label counts where the row's mask is 1, everywhere without masks.
    """
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), PAD_ID)
    labels = torch.full((len(rows), length), IGNORED)
    for index, row in enumerate(rows):
        tokens = torch.tensor(row)
        ids[index, : len(row)] = tokens
        counted = torch.tensor(masks[index], dtype=torch.bool) if masks else torch.ones(len(row), dtype=torch.bool)
        labels[index, : len(row)] = torch.where(counted, tokens, IGNORED)
    return ids, labels


def next_token_loss(model: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the counted labels; ids and labels are (batch, seq_len)."""
    logits = model(input_ids=ids).logits.float()  # (batch, seq_len, vocab)
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


def learning_rate_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Linear warm-up from 0, then a cosine to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def pretrain(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Pretraining) -> float:
    """Trains all weights; returns the mean loss of the last 20 steps."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.peak_learning_rate, betas=(0.9, 0.95), weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, settings.steps, settings.warmup_steps)
    )
    model.train()
    losses: list[float] = []
    stream = batches(tokenizer, settings)
    progress = tqdm(range(settings.steps), desc="pre-train", unit="step")
    for _ in progress:
        with torch.autocast("cpu", torch.bfloat16):
            loss = next_token_loss(model, *collate(next(stream)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        progress.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}")
    return sum(losses[-20:]) / len(losses[-20:])
