"""Synthetic rows of CodeV-R1's form and length, and a tokenizer of Gemma's kind, for benchmarks without a network.

The text is the miniature's Verilog and prompts with the names and numbers replaced: names drawn by Zipf's law from
100,000 made of hardware words, as real code repeats a few names and invents many; numbers drawn anew each time.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from benchmarks.lengths import paper_lengths
from scripts.common.files import read_jsonl
from scripts.data.codev import Sample, parse_row

CORPUS = Path("resources/mini/corpus.jsonl")
MARKERS = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<turn|>\n{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}"
)
HARDWARE_WORDS = re.findall(
    r"\w+",
    "data addr valid ready fifo clk rst req ack grant cnt state next sel mux reg mem wr rd en in out tmp shift sum "
    "carry flag full empty ptr head tail load start done busy err ctrl cfg irq bus master slave tx rx baud pixel line",
)
NAMES = 100_000
PROMPT_SHARE = 0.45
REASONING_TOKENS = 900
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|\d+|\s+|.")
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "module endmodule input output reg wire assign always posedge negedge begin end if else case endcase default "
        "parameter localparam or and not The the is a of when with to for in Write Verilog ports",
    )
)


def names() -> list[str]:
    """NAMES different names, the short ones first."""
    longer = itertools.chain.from_iterable(itertools.product(HARDWARE_WORDS, repeat=length) for length in (1, 2, 3))
    return ["_".join(words) for words in itertools.islice(longer, NAMES)]


class CodeText:
    """An endless text of one kind (the corpus's prompts, or its answers), cut to size."""

    def __init__(self, pieces: list[str], seed: int) -> None:
        self._pieces = [_WORD.findall(piece + "\n") for piece in pieces]
        self._names = names()
        ranks = np.arange(1, NAMES + 1)
        self._cumulative = np.cumsum(1 / ranks) / np.sum(1 / ranks)
        self._random = np.random.default_rng(seed)
        self._drawn: Iterator[str] = iter(())

    def _name(self) -> str:
        try:
            return next(self._drawn)
        except StopIteration:
            places = np.searchsorted(self._cumulative, self._random.random(100_000)).tolist()
            self._drawn = iter([self._names[min(place, NAMES - 1)] for place in places])
            return next(self._drawn)

    def words(self, count: int) -> str:
        """About `count` words, marks and spaces of them included."""
        out: list[str] = []
        while len(out) < count:
            renamed: dict[str, str] = {}
            for word in self._pieces[self._random.integers(len(self._pieces))]:
                if word.isdigit():
                    out.append(str(int(self._random.integers(0, 256))))
                elif word.isidentifier() and word not in _KEYWORDS:
                    out.append(renamed.setdefault(word, self._name()))
                else:
                    out.append(word)
        return "".join(out[:count])


def corpus_texts() -> tuple[list[str], list[str]]:
    """The miniature's prompts and answers."""
    parsed = [parse_row("row", row["prompt"], row["response"]) for row in read_jsonl(CORPUS)]
    samples = [sample for sample in parsed if isinstance(sample, Sample)]
    return [sample.prompt for sample in samples], [sample.answer for sample in samples]


def gemma_like_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """A BPE tokenizer with marked spaces, byte fallback and merges over the whole text, learnt on synthetic text."""
    prompts, answers = corpus_texts()
    texts = [CodeText(kind, seed).words(5000) for kind in (prompts, answers) for seed in range(100, 200)]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # What SentencePiece's training keeps apart for Gemma: words, scripts (letters from marks), digits, line ends.
    apart = [
        pre_tokenizers.Split("▁", "merged_with_next"),
        pre_tokenizers.Split(Regex(r"▁?[A-Za-z]+|\n+|▁?[^A-Za-z\n▁]+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(apart)
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=[*MARKERS, *byte_tokens], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    specification = json.loads(tokenizer.to_str())
    specification["pre_tokenizer"] = {
        "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False,
    }  # fmt: skip
    specification["added_tokens"] = [token for token in specification["added_tokens"] if token["content"] in MARKERS]
    tokenizer = Tokenizer.from_str(json.dumps(specification))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
        chat_template=TEMPLATE,
    )  # fmt: skip


def rows(count: int, words_per_token: float) -> Iterator[dict[str, Any]]:
    """`count` rows whose prompt and answer together are about as long in tokens as the paper's."""
    prompts, answers = corpus_texts()
    prompt_text, answer_text = CodeText(prompts, 0), CodeText(answers, 1)
    reasoning = [prompt_text.words(int(REASONING_TOKENS * words_per_token)) for _ in range(200)]
    chosen = random.Random(2)
    for length in (paper_lengths(count) * words_per_token).astype(int).tolist():
        prompt = prompt_text.words(int(length * PROMPT_SHARE))
        module = f"module TopModule;\n{answer_text.words(int(length * (1 - PROMPT_SHARE)))}\nendmodule"
        answer = f"<answer>\n```verilog\n{module}\n```\n</answer>"
        yield {"prompt": prompt, "response": f"<think>\n{chosen.choice(reasoning)}\n</think>\n\n{answer}"}
