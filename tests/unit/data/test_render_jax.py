"""Tokens and mask of a chat turn: the prefix is the server's, the mask is the answer and its end-of-turn token."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from scripts.data.codev import Sample
from scripts.data.render import END_OF_TURN, end_of_turn_id, generation_prompt, render

TOKENIZER: Any = AutoTokenizer.from_pretrained("resources/mini/model")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=80)


@settings(max_examples=150, deadline=None)
@given(prompt=TEXT, answer=TEXT)
def test_the_mask_is_exactly_the_answer_and_its_end_of_turn(prompt: str, answer: str) -> None:
    row = render(TOKENIZER, Sample(prompt, answer))
    assert len(row.input_ids) == len(row.loss_mask)
    masked = [token for token, mask in zip(row.input_ids, row.loss_mask, strict=True) if mask]
    assert TOKENIZER.decode(masked) == answer + END_OF_TURN
    assert masked[-1] == end_of_turn_id(TOKENIZER)


@settings(max_examples=150, deadline=None)
@given(prompt=TEXT, answer=TEXT)
def test_the_prefix_is_token_for_token_what_the_server_makes_of_the_prompt(prompt: str, answer: str) -> None:
    row = render(TOKENIZER, Sample(prompt, answer))
    served = TOKENIZER.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True)
    prefix = row.input_ids[: row.loss_mask.index(1)]
    assert prefix == served["input_ids"]


def test_the_turn_is_gemma_4s() -> None:
    assert generation_prompt(TOKENIZER, "Write it.") == "<bos><|turn>user\nWrite it.<turn|>\n<|turn>model\n"


def test_a_tokenizer_without_gemmas_markers_is_refused() -> None:
    class Bytes:
        def encode(self, text: str, **kwargs: Any) -> list[int]:
            return list(text.encode())

    with pytest.raises(Exception, match="has no token"):
        end_of_turn_id(Bytes())  # type: ignore[arg-type]
