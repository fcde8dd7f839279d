"""Measures what LoRA teaches the mini model: problems solved before and after, by PEFT in plain PyTorch.

A check of the mini world by itself, beside the workflow: 2 epochs of the corpus, 5 answers a problem at temperature 0.8
and top_p 0.95, simulated with Icarus Verilog.

    python -m scripts.mini.measure_learning --seeds 0 1 2 --output learning.json
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tqdm import tqdm
from transformers import AutoTokenizer, Gemma4ForConditionalGeneration, PreTrainedTokenizerBase

from scripts.common.errors import entry_point
from scripts.common.files import read_jsonl, write_json
from scripts.mini.make_tokenizer import END_OF_TURN_ID
from scripts.mini.pretraining import collate, learning_rate_factor, next_token_loss
from scripts.mini.simulation import passes_bench
from scripts.mini.tasks import module_of_response

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SAMPLES_PER_PROBLEM = 5


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mini", type=Path, default=Path("resources/mini"), help="folder of model, corpus.jsonl and problems"
    )
    parser.add_argument("--model", type=Path, help="another folder of the model")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--peak-learning-rate", type=float, default=2e-3)
    parser.add_argument("--max-seq-len-tokens", type=int, default=192)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


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


def tune(model: Gemma4ForConditionalGeneration, rows: list[Any], seed: int, args: argparse.Namespace) -> Any:
    """`model` with LoRA matrices of rank 16 on all seven projections, trained on `rows`, 8 a step."""
    torch.manual_seed(seed)
    config = LoraConfig(r=16, lora_alpha=16, target_modules=list(LORA_TARGETS))
    tuned = get_peft_model(model, config)
    steps = args.epochs * len(rows) // 8
    parameters = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=args.peak_learning_rate, weight_decay=0.001)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, 20))
    rng = random.Random(seed)
    order: list[Any] = []
    progress = tqdm(range(steps), desc=f"tune seed {seed}", unit="step")
    for _ in progress:
        if len(order) < 8:
            order += rng.sample(rows, len(rows))
        batch, order = order[:8], order[8:]
        loss = next_token_loss(tuned, *collate([ids for ids, _ in batch], [mask for _, mask in batch]))
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.set_postfix(loss=f"{float(loss):.3f}")
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


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    folder = args.model or args.mini / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = training_rows(tokenizer, args.mini / "corpus.jsonl", args.max_seq_len_tokens)
    results: dict[str, Any] = {"rows": len(rows), "seeds": {}}
    for seed in args.seeds:
        model = Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        base = evaluate(model, tokenizer, args.mini / "problems", seed)
        start = time.monotonic()
        tuned_model = tune(model, rows, seed, args)
        train_sec = time.monotonic() - start
        tuned = evaluate(tuned_model, tokenizer, args.mini / "problems", seed)
        results["seeds"][seed] = {"train_sec": train_sec, "base": base, "tuned": tuned}
        shown = {
            name: {key: value[key] for key in ("samples_passed", "problems_solved")}
            for name, value in (("base", base), ("tuned", tuned))
        }
        print(f"seed {seed}: {json.dumps(shown)}, {base['samples']} samples, trained in {train_sec:.0f} s", flush=True)
    write_json(args.output, results)


if __name__ == "__main__":
    main()
