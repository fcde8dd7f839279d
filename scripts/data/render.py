"""A training pair as tokens: the model's own chat turns, and a mask that is 1 exactly on what the model must write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from scripts.common.errors import UserError
from scripts.data.codev import Sample

END_OF_TURN = "<turn|>"


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **kwargs: Any) -> Any: ...

    def encode(self, text: str, **kwargs: Any) -> list[int]: ...


@dataclass(frozen=True)
class TokenRow:
    """Tokens of one sample; both lists have the same length (seq_len,)."""

    input_ids: list[int]
    loss_mask: list[int]


def generation_prompt(tokenizer: Tokenizer, prompt: str) -> str:
    """The text that a chat server puts before the model's answer to `prompt`."""
    turns = [{"role": "user", "content": prompt}]
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def render(tokenizer: Tokenizer, sample: Sample) -> TokenRow:
    """Tokens of the user's turn and the answer, mask 1 on the answer and its end-of-turn token.

    The generation prompt is tokenised by itself, as the server does it: the prefix seen in training is, token for
    token, the one at evaluation. The answer follows as the tokens that spell it, then the end-of-turn token.
    """
    prefix = tokenizer.encode(generation_prompt(tokenizer, sample.prompt), add_special_tokens=False)
    answer = [*tokenizer.encode(sample.answer, add_special_tokens=False), end_of_turn_id(tokenizer)]
    return TokenRow(input_ids=prefix + answer, loss_mask=[0] * len(prefix) + [1] * len(answer))


def end_of_turn_id(tokenizer: Tokenizer) -> int:
    """Id of Gemma 4's end-of-turn token; UserError when the tokenizer does not have it as one token."""
    ids = tokenizer.encode(END_OF_TURN, add_special_tokens=False)
    if len(ids) != 1:
        raise UserError(f"the base model's tokenizer has no token {END_OF_TURN!r}: is it a Gemma 4 model?")
    return ids[0]
