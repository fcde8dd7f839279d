"""Tunix's sampler on a batch of prompts that all have the tokens which training saw."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer
from tunix.generate.sampler import CacheConfig, Sampler

from scripts.common import tunix_gemma4
from scripts.common.chat_format import ChatFormat
from scripts.common.files import read_json
from scripts.common.jax_platform import MeshShape
from scripts.verilog.sampling import Request, Sampling

PROMPT_STEP_TOKENS = 64


class ExactSampler(Sampler):
    """Tunix's sampler without the <bos> that it puts before every prompt: the chat template has written it."""

    def tokenize(self, input_string: str) -> np.ndarray:
        return np.array(self.tokenizer.encode(input_string, add_special_tokens=False), dtype=np.int32)


class BatchSampler:
    """Answers batches of prompts with the model in the folder `model`, on a mesh of all devices."""

    def __init__(self, model: Path, mesh: MeshShape, dtype: str, chat: ChatFormat, sampling: Sampling) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
        self._chat = chat
        self._sampling = sampling
        self._marker = chat.end_of_turn(self._tokenizer)
        self._ends = end_tokens(model, self._tokenizer, self._marker)
        self._mesh = tunix_gemma4.make_mesh(mesh.fsdp, mesh.tp)
        with self._mesh:
            self._model = tunix_gemma4.load_model(model, self._mesh, dtype)
        self._engine = f"tunix {importlib.metadata.version('google-tunix')}"
        self._batch_size = 0
        self._prompt_tokens = 0
        self._sampler: ExactSampler | None = None

    def prepare(self, prompts: Sequence[str], batch_size: int) -> None:
        """Makes room for the longest of all prompts, so that every batch has one shape and compiles once."""
        longest = max(len(self._tokenizer.encode(text, add_special_tokens=False)) for text in self._rendered(prompts))
        self._prompt_tokens = -(-longest // PROMPT_STEP_TOKENS) * PROMPT_STEP_TOKENS
        self._batch_size = batch_size
        config = self._model.config
        cache = CacheConfig(
            cache_size=self._prompt_tokens + self._sampling.max_new_tokens,
            num_layers=config.num_layers,
            num_kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
        )
        self._sampler = ExactSampler(self._model, self._tokenizer, cache)

    def sample(self, batch: Sequence[Request]) -> list[dict[str, Any]]:
        """A row for each request; all of a batch carry its seed."""
        return [
            {
                "problem": request.problem,
                "sample": request.sample,
                "seed": request.seed,
                **self.ending(tokens),
                "engine": self._engine,
            }
            for request, tokens in zip(batch, self.draw(batch), strict=True)
        ]

    def draw(self, batch: Sequence[Request]) -> list[list[int]]:
        """The tokens of each answer, without the one that ended it. A short batch is filled up with its last prompt."""
        assert self._sampler is not None
        assert 0 < len(batch) <= self._batch_size
        texts = self._rendered([request.prompt for request in batch])
        texts += texts[-1:] * (self._batch_size - len(batch))
        greedy = self._sampling.temperature == 0
        with self._mesh:
            output = self._sampler(
                texts,
                max_generation_steps=self._sampling.max_new_tokens,
                max_prompt_length=self._prompt_tokens,
                temperature=self._sampling.temperature,
                top_p=None if greedy else self._sampling.top_p,
                seed=batch[0].seed,
                eos_tokens=self._ends,
            )
        return [list(map(int, tokens)) for tokens in output.tokens[: len(batch)]]

    def _rendered(self, prompts: Sequence[str]) -> list[str]:
        return [self._chat.generation_prompt(self._tokenizer, prompt) for prompt in prompts]

    def ending(self, tokens: list[int]) -> dict[str, Any]:
        """Text, how it ended and tokens written, of an answer's tokens without the one that ended it."""
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        stopped = len(tokens) < self._sampling.max_new_tokens
        # A marker of several tokens ends nothing in the sampler, which goes on to the longest answer.
        before, marker, _ = text.partition(self._marker)
        return {
            "text": before,
            "finish_reason": "stop" if stopped or marker else "length",
            "completion_tokens": len(tokens) + stopped,
        }


def end_tokens(model: Path, tokenizer: Any, marker: str) -> list[int]:
    """Ids that end an answer: the model's own (generation_config.json), the tokenizer's, and the end of a turn where it
    is a single token. vLLM ends at the same."""
    path = model / "generation_config.json"
    own = read_json(path).get("eos_token_id", []) if path.is_file() else []
    marked = tokenizer.encode(marker, add_special_tokens=False)
    ends = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id, *(marked if len(marked) == 1 else [])]
    return sorted({int(end) for end in ends if end is not None})
