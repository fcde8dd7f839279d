"""The encoder's ids are the tokenizer's own, cut or not; it cuts nothing where that could fail."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.speller import Speller, spelling_table
from scripts.data.text_encoder import TextEncoder, cut_table, pieces_of
from tests.unit.data.example_tokenizers import TOKENIZERS, byte_level, sentencepiece_like
from tests.unit.data.test_render_jax import PIECES, TEXT

# Characters that stand close in the vocabulary, so that cuts and merges meet.
DENSE = st.text("ab (){}[];:=<>|_0123\n \t", max_size=60)
TEXTS = st.lists(st.one_of(TEXT, DENSE, PIECES), min_size=1, max_size=6)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_of_a_chat_are_the_tokenizers(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    encoder = TextEncoder(tokenizer.backend_tokenizer)

    @settings(max_examples=150, deadline=None)
    @given(texts=TEXTS)
    def holds(texts: list[str]) -> None:
        expected = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        assert [ids.tolist() for ids in encoder.encode_chats(texts)] == expected
        assert [ids.tolist() for ids in encoder.encode_chats(texts)] == expected, "remembered pieces too"

    holds()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_an_answer_goes_on_without_a_space_and_its_markers_are_text(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    encoder = TextEncoder(tokenizer.backend_tokenizer)
    special = set(tokenizer.all_special_ids) | {tokenizer.convert_tokens_to_ids("<turn|>")}

    @settings(max_examples=100, deadline=None)
    @given(text=TEXT)
    def holds(text: str) -> None:
        (ids,) = encoder.encode_answers([text])
        assert tokenizer.backend_tokenizer.decode(ids.tolist(), skip_special_tokens=False) == text
        assert not special & set(ids.tolist()) - {tokenizer.unk_token_id}

    holds()


def test_a_sentencepiece_like_tokenizer_is_cut_and_the_pieces_are_the_text() -> None:
    cuts = cut_table(json.loads(sentencepiece_like().backend_tokenizer.to_str()))
    assert cuts is not None
    texts = ["assign out = a + b;\n  assign y = ~a;\n", "", "é", "q <= 8'd1;"]
    pieces = pieces_of(texts, cuts)
    assert [b"".join(text).decode() for text in pieces] == texts
    assert len(pieces[0]) > 5
    assert pieces[2] == ["é".encode()]


def changed(**changes: Any) -> dict[str, Any]:
    specification = json.loads(sentencepiece_like().backend_tokenizer.to_str())
    model = {key: changes.pop(key) for key in list(changes) if key in specification["model"]}
    specification["model"].update(model)
    return {**specification, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.1},
        {"byte_fallback": False},
        {"end_of_word_suffix": "</w>"},
        {"normalizer": {"type": "NFC"}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"type": "Unigram"},
    ],
    ids=str,
)
def test_nothing_is_cut_where_pieces_would_not_be_independent(changes: dict[str, Any]) -> None:
    assert cut_table(changed(**changes)) is None


def test_nothing_is_cut_beside_added_tokens_that_look_around() -> None:
    specification = changed()
    specification["added_tokens"][0]["lstrip"] = True
    assert cut_table(specification) is None


def test_a_byte_level_tokenizer_splits_by_itself() -> None:
    assert cut_table(json.loads(byte_level().backend_tokenizer.to_str())) is None


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_speller_spells_as_the_tokenizer_does(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    speller = Speller(tokenizer.backend_tokenizer)

    @settings(max_examples=100, deadline=None)
    @given(rows=st.lists(st.lists(st.integers(0, len(tokenizer) - 1), max_size=20), max_size=4))
    def holds(rows: list[list[int]]) -> None:
        expected = tokenizer.backend_tokenizer.decode_batch(rows, skip_special_tokens=False)
        spelled = speller.decode([np.array(row, np.int32) for row in rows])
        # Of bytes that are no character the two make replacement characters by rules of their own.
        assert [text for text, other in zip(spelled, expected, strict=True) if "\ufffd" not in other] == [
            text for text in expected if "\ufffd" not in text
        ]

    holds()


def test_only_a_decoder_of_gemmas_kind_has_a_table() -> None:
    assert spelling_table(json.loads(sentencepiece_like().backend_tokenizer.to_str())) is not None
    assert spelling_table(json.loads(byte_level().backend_tokenizer.to_str())) is None
    assert spelling_table(changed(decoder=None)) is None
