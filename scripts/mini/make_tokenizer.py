"""Trains the mini tokenizer on the mini corpus: byte-level BPE with Gemma 4's markers and form of turns.

python -m scripts.mini.make_tokenizer
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from scripts.common.errors import entry_point
from scripts.common.files import read_jsonl, write_json, write_text

# The first four ids are Gemma's own.
SPECIAL_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|channel>", "<channel|>")
PAD_ID, EOS_ID, BOS_ID, _, _, END_OF_TURN_ID, _, _ = range(len(SPECIAL_TOKENS))

# One token may be at most: a range from a top bit to 0, the width of a constant, a word, a digit, a new line with its
# indent, or a run of signs. Digits are single, so that numbers are copied, not remembered.
_PIECES = r" ?\[\d+:0\]| ?\d+'[bd]| ?[A-Za-z_]+|\d|\n *-?| ?[^\s\dA-Za-z_]+|\s"

CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
{{- '<|turn>' + role + '\\n' + (message['content'] | trim) + '<turn|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|turn>model\\n' -}}
{%- endif -%}
"""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("resources/mini/corpus.jsonl"))
    parser.add_argument("--output", type=Path, default=Path("resources/mini/model"), help="folder of the model")
    parser.add_argument("--vocab-size", type=int, default=1000, help="tokens at most; a small corpus gives fewer")
    return parser.parse_args(argv)


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """A BPE over bytes: any text comes back as it was."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", BOS_ID)]
    )
    return tokenizer


def tokenizer_config() -> dict[str, object]:
    """What transformers reads beside tokenizer.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
        "padding_side": "left",
    }


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    texts = (
        f"{role}\n{row[column]}"
        for row in read_jsonl(args.corpus)
        for role, column in (("system", "prompt"), ("user", "prompt"), ("model", "response"))
    )
    tokenizer = train_tokenizer(texts, args.vocab_size)
    write_text(args.output / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    write_json(args.output / "tokenizer_config.json", tokenizer_config())
    write_text(args.output / "chat_template.jinja", CHAT_TEMPLATE)
    print(f"{args.output}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
