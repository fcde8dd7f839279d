"""Text to token ids as the tokenizer itself would give them, several times faster where that can be exact.

A SentencePiece-like BPE tokenizer, Gemma's among them, merges over a text as a whole, at about 1 MB/s. But no merge can
cross a place between two characters that stand side by side in no token of the vocabulary: cut there, the pieces'
tokens are the text's. Most pieces are words seen before, whose tokens are remembered.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

_SPACE_MARK = "▁"
# From here on the bytes of UTF-8 are parts of characters that are not ASCII: nothing is cut beside them.
_FIRST_OF_OTHERS = 128
# Bytes that stand in no UTF-8 text, and so can mark places in one.
_CUT, _END_OF_TEXT = b"\xff", b"\xfe"
# Pieces remembered; when full, memory is given back and learning begins anew.
_MAX_REMEMBERED = 1_000_000


class TextEncoder:
    """Encodes texts with `tokenizer`, without adding tokens at the ends. Ids are int32 arrays of shape (tokens,)."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        specification = json.loads(tokenizer.to_str())
        self._cuts = cut_table(specification)
        self._whole: Any = tokenizer
        self._continuing = tokenizer
        if drop_leading_space(specification):
            self._continuing = Tokenizer.from_str(json.dumps(specification))
        # The ids of a piece, as the bytes of an int32 array: rows are joined from them without an object a token.
        self._known_whole: dict[bytes, bytes] = {}
        self._known_continuing: dict[bytes, bytes] = {}

    def encode_chats(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, in which the spelling of a special token becomes that token: what a chat server does
        with a rendered chat."""
        self._whole.encode_special_tokens = False
        return self._encode(self._whole, self._known_whole, texts)

    def encode_answers(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text as it goes on after a prefix: no space is put before it, and the spelling of a special
        token is ordinary text."""
        self._continuing.encode_special_tokens = True
        return self._encode(self._continuing, self._known_continuing, texts)

    def encode_marker(self, text: str) -> np.ndarray:
        """The ids of a chat marker that goes on after an answer: a special token, or the ordinary text it is."""
        self._continuing.encode_special_tokens = False
        return _ids(self._continuing, [text])[0]

    def _encode(self, tokenizer: Any, known: dict[bytes, bytes], texts: Sequence[str]) -> list[np.ndarray]:
        if self._cuts is None:
            return _ids(tokenizer, texts)
        if len(known) > _MAX_REMEMBERED:
            known.clear()
        pieces = pieces_of(texts, self._cuts)
        ids = [_joined(known, text) for text in pieces]
        unknown = [text for text, found in zip(pieces, ids, strict=True) if found is None]
        if unknown:
            new = list(set(itertools.chain.from_iterable(unknown)).difference(known))
            new_ids = _ids(tokenizer, [piece.decode() for piece in new])
            known.update(zip(new, (piece_ids.tobytes() for piece_ids in new_ids), strict=True))
            ids = [_joined(known, text) if found is None else found for text, found in zip(pieces, ids, strict=True)]
        return [np.frombuffer(found, np.int32) for found in ids if found is not None]


def _joined(known: dict[bytes, bytes], pieces: list[bytes]) -> bytes | None:
    """The ids of all the pieces, or None where one of them is not known yet."""
    try:
        return b"".join(map(known.__getitem__, pieces))
    except KeyError:
        return None


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[np.ndarray]:
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [np.array(encoding.ids, np.int32) for encoding in encodings]


def cut_table(specification: dict[str, Any]) -> np.ndarray | None:
    """Where a text may be cut: bool of shape (256, 256), true for pairs of neighbouring ASCII characters that no token
    of the vocabulary holds side by side. None for a tokenizer whose pieces would not be independent: one that is no
    BPE, splits words by rules of its own, changes more than spaces, or has added tokens that look at their neighbours.
    """
    model, normalizer = specification["model"], specification.get("normalizer")
    marks_spaces = normalizer == {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE_MARK}
    added = specification.get("added_tokens", [])
    independent = (
        model["type"] == "BPE"
        and model.get("byte_fallback")
        and not model.get("dropout")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and (normalizer is None or marks_spaces)
        and _splits_nothing(specification.get("pre_tokenizer"), marks_spaces)
        and not any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added)
    )
    if not independent:
        return None
    cuts = np.ones((256, 256), bool)
    cuts[_FIRST_OF_OTHERS:, :] = cuts[:, _FIRST_OF_OTHERS:] = False
    for token in [*model["vocab"], *(token["content"] for token in added)]:
        text = token.replace(_SPACE_MARK, " ") if marks_spaces else token
        content = np.frombuffer(text.encode(), np.uint8)
        cuts[content[:-1], content[1:]] = False
    return cuts


def pieces_of(texts: Sequence[str], cuts: np.ndarray) -> list[list[bytes]]:
    """Each text as UTF-8, cut wherever `cuts` allows; joined, the pieces are the text."""
    # All the texts at once, so that numpy is called a few times for hundreds of them.
    content = np.frombuffer(_END_OF_TEXT.join(text.encode() for text in texts), np.uint8)
    pairs = (content[:-1].astype(np.uint16) << 8) | content[1:]
    places = np.flatnonzero(cuts.reshape(-1).take(pairs)) + 1
    marked = np.insert(content, places, _CUT[0]).tobytes()
    return [text.split(_CUT) for text in marked.split(_END_OF_TEXT)]


def _splits_nothing(pre_tokenizer: dict[str, Any] | None, marks_spaces: bool) -> bool:
    """Whether a pre-tokenizer leaves every text whole: none, or Gemma's, which splits at spaces that are all marked."""
    if pre_tokenizer is None:
        return True
    return marks_spaces and pre_tokenizer["type"] == "Split" and pre_tokenizer["pattern"] == {"String": " "}


def drop_leading_space(specification: dict[str, Any]) -> bool:
    """Turns off, in place, what some tokenizers put before a text; whether there was anything to turn off."""
    changed = False
    for part in _parts(specification.get("pre_tokenizer")) + _parts(specification.get("normalizer")):
        for kind, key, off in (
            ("Metaspace", "prepend_scheme", "never"),
            ("ByteLevel", "add_prefix_space", False),
            ("Prepend", "prepend", ""),
        ):
            if part["type"] == kind and part[key] != off:
                part[key] = off
                changed = True
    return changed


def _parts(component: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A component of a tokenizer's file, or the parts of a sequence of them."""
    if component is None:
        return []
    if component["type"] != "Sequence":
        return [component]
    children: list[dict[str, Any]] = component.get("pretokenizers") or component["normalizers"]
    return [part for child in children for part in _parts(child)]
