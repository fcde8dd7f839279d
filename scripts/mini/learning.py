"""LoRA on the mini model by PEFT in plain PyTorch, and how many problems its answers solve."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tqdm import tqdm
from transformers import Gemma4ForConditionalGeneration, PreTrainedTokenizerBase

from scripts.common.files import read_jsonl
from scripts.mini.make_tokenizer import END_OF_TURN_ID
from scripts.mini.pretraining import collate, learning_rate_factor, next_token_loss
from scripts.mini.simulation import passes_bench
from scripts.mini.tasks import module_of_response

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SAMPLES_PER_STEP = 8
SAMPLES_PER_PROBLEM = 5


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    turns = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))


def training_rows(tokenizer: PreTrainedTokenizerBase, corpus: Path, limit: int) -> list[tuple[list[int], list[int]]]:
    """(token ids, mask of the answer) of the rows that the workflow's filters keep."""
    rows = []
    for row in read_jsonl(corpus):
        module = module_of_response(row["response"])
        if module is not None:
            prefix = prompt_ids(tokenizer, row["prompt"])
            answer = [*tokenizer.encode(module, add_special_tokens=False), END_OF_TURN_ID]
            if len(prefix) + len(answer) <= limit:
                rows.append((prefix + answer, [0] * len(prefix) + [1] * len(answer)))
    return rows


def tune(
    model: Gemma4ForConditionalGeneration, rows: list[Any], seed: int, epochs: int, peak_learning_rate: float
) -> Any:
    """`model` with LoRA matrices of rank 16 on all seven projections, trained on `rows`."""
    torch.manual_seed(seed)
    config = LoraConfig(r=16, lora_alpha=16, target_modules=list(LORA_TARGETS))
    tuned = get_peft_model(model, config)
    steps = epochs * len(rows) // SAMPLES_PER_STEP
    parameters = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=peak_learning_rate, weight_decay=0.001)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, 20))
    rng = random.Random(seed)
    order: list[Any] = []
    progress = tqdm(range(steps), desc=f"tune seed {seed}", unit="step")
    for _ in progress:
        if len(order) < SAMPLES_PER_STEP:
            order += rng.sample(rows, len(rows))
        batch, order = order[:SAMPLES_PER_STEP], order[SAMPLES_PER_STEP:]
        loss = next_token_loss(tuned, *collate([ids for ids, _ in batch], [mask for _, mask in batch]))
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.set_postfix(loss=f"{loss.item():.3f}")
    return tuned


@torch.no_grad()
def sample_answers(model: Any, tokenizer: PreTrainedTokenizerBase, prompts: list[str], seed: int) -> list[list[str]]:
    """SAMPLES_PER_PROBLEM answers to each prompt."""
    torch.manual_seed(seed)
    model.eval()
    ids = [prompt_ids(tokenizer, prompt) for prompt in prompts for _ in range(SAMPLES_PER_PROBLEM)]
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt", padding_side="left")
    output = model.generate(
        **batch, do_sample=True, temperature=0.8, top_p=0.95, top_k=0, max_new_tokens=192,
        eos_token_id=END_OF_TURN_ID, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    texts = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [texts[start : start + SAMPLES_PER_PROBLEM] for start in range(0, len(texts), SAMPLES_PER_PROBLEM)]


def evaluate(model: Any, tokenizer: PreTrainedTokenizerBase, problems: Path, seed: int) -> dict[str, Any]:
    """How many samples pass, how many problems have one that passes, and the passes of each problem."""
    names = (problems / "problems.txt").read_text().split()
    parts = {
        name: [(problems / f"{name}_{part}").read_text() for part in ("prompt.txt", "ref.sv", "test.sv")]
        for name in names
    }
    answers = sample_answers(model, tokenizer, [parts[name][0] for name in names], seed)
    jobs = [(text, *parts[name][1:]) for name, texts in zip(names, answers, strict=True) for text in texts]
    with ThreadPoolExecutor(2) as pool:
        passes = list(pool.map(lambda job: passes_bench(*job), jobs))
    passed = {
        name: sum(passes[index * SAMPLES_PER_PROBLEM : (index + 1) * SAMPLES_PER_PROBLEM])
        for index, name in enumerate(names)
    }
    return {
        "samples": len(jobs),
        "samples_passed": sum(passes),
        "problems": len(names),
        "problems_solved": sum(count > 0 for count in passed.values()),
        "passed_by_problem": passed,
        "first_answers": dict(zip(names, (texts[0] for texts in answers), strict=True)),
    }
