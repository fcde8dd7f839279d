"""Training pairs as tokens: the turns before the answer as a chat server renders them, then the answer and its end.

The generation prompt is tokenised by itself, as the server does it, so that the prefix seen in training is, token for
token, the one at evaluation; no token straddles the boundary. The answer follows as the tokens that spell it, then
the template's end-of-turn marker: what the loss is taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.common.chat_format import ChatFormat
from scripts.common.errors import UserError
from scripts.data.codev import Sample
from scripts.data.speller import Speller
from scripts.data.text_encoder import TextEncoder

# Characters shown of a text where it is not what it should be.
EXCERPT = 20


@dataclass(frozen=True)
class TokenRow:
    """Tokens of one sample, int32 of shape (seq_len,); from `answer_start` on they are the answer and its end."""

    input_ids: np.ndarray
    answer_start: int


class Renderer:
    """Renders samples with one tokenizer (of transformers, with a fast backend) and one chat format."""

    def __init__(self, tokenizer: Any, chat: ChatFormat) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self._backend = tokenizer.backend_tokenizer
        self._encoder = TextEncoder(self._backend)
        self.end_of_turn = chat.end_of_turn(tokenizer)
        self._speller = Speller(self._backend)
        self._end_ids = self._encoder.encode_marker(self.end_of_turn)
        if chat.template == "model" and len(self._end_ids) != 1:
            raise UserError(
                f"the base model's tokenizer has no single token for its end of turn {self.end_of_turn!r}: the server "
                "could not stop there; is tokenizer.json that of the chat template?"
            )

    def render(self, samples: Sequence[Sample]) -> list[TokenRow | str]:
        """The tokens of each sample, or why there are none: an answer that the tokenizer cannot spell."""
        prompts = [self._chat.generation_prompt(self._tokenizer, sample.prompt) for sample in samples]
        prefixes = self._encoder.encode_chats(prompts)
        answers = self._encoder.encode_answers([sample.answer for sample in samples])
        targets = [np.concatenate([answer, self._end_ids]) for answer in answers]
        # Every row's loss is over its answer and nothing else: the tokens are decoded and compared.
        spelled = self._speller.decode(targets)
        rows: list[TokenRow | str] = []
        for sample, prefix, target, text in zip(samples, prefixes, targets, spelled, strict=True):
            expected = sample.answer + self.end_of_turn
            if text == expected:
                rows.append(TokenRow(np.concatenate([prefix, target]), len(prefix)))
            else:
                rows.append(f"the tokenizer cannot spell the answer: its tokens are {_difference(text, expected)}")
        return rows


def _difference(found: str, expected: str) -> str:
    """The place where two texts part."""
    pairs = enumerate(zip(found, expected, strict=False))
    place = next((i for i, (one, other) in pairs if one != other), min(len(found), len(expected)))
    here = slice(place, place + EXCERPT)
    return f"{found[here]!r} where it has {expected[here]!r}"
