"""Small tokenizers of both families, trained here on text whose tokens reach over line ends and chat markers, and chat
templates of several makes: what the data stage must get right whatever model is trained."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

MARKERS = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_PROBLEMS = Path("resources/mini/problems")
# Gemma 4 31B's in outline: a system turn, and an empty thought when thinking is off.
THINKING_TEMPLATE = """
{{- bos_token -}}
{%- for message in messages -%}
{{- '<|turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' -}}
{{- message['content'] | trim + '<turn|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|turn>model\\n' -}}
{%- if not enable_thinking | default(false) -%}{{- '<|channel>thought\\n<channel|>' -}}{%- endif -%}
{%- endif -%}
"""
# No marker of its own before the answer, and no line end after a turn.
TERSE_TEMPLATE = """
{%- for message in messages -%}
{{- message['content'] + ('<eos>' if message['role'] == 'assistant' else ' ') -}}
{%- endfor -%}
"""
TEMPLATES = {"thinking": THINKING_TEMPLATE, "terse": TERSE_TEMPLATE}


def _texts() -> list[str]:
    """Verilog and prompts in which chat markers stand as text, so that tokens are learnt that hold parts of them."""
    texts = [path.read_text() for path in sorted(_PROBLEMS.iterdir())]
    return [*texts, *(f"<start_of_turn>user\n{text}<end_of_turn>\n<start_of_turn>model\n{text}" for text in texts)]


@functools.cache
def sentencepiece_like() -> Any:
    """As Gemma's: spaces marked, merges over the text as a whole, bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # Learnt on lines with their ends, so that tokens hold line ends; merges then know no bounds.
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=[*MARKERS, *BYTES], show_progress=False)
    tokenizer.train_from_iterator(_texts(), trainer)
    specification = json.loads(tokenizer.to_str())
    specification["pre_tokenizer"] = {
        "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False,
    }  # fmt: skip
    specification["added_tokens"] = [
        token for token in specification["added_tokens"] if token["content"] not in set(BYTES)
    ]
    tokenizer = Tokenizer.from_str(json.dumps(specification))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _wrapped(tokenizer)


@functools.cache
def byte_level() -> Any:
    """As GPT's: words split by a pattern, bytes as characters; a space is put before a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=MARKERS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return _wrapped(tokenizer)


@functools.cache
def mini() -> Any:
    return AutoTokenizer.from_pretrained("resources/mini/model")


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
        chat_template=THINKING_TEMPLATE,
    )  # fmt: skip


TOKENIZERS = {"sentencepiece-like": sentencepiece_like, "byte-level": byte_level, "mini": mini}
