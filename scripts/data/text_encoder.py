"""Text to token ids as the tokenizer itself would give them, several times faster where that can be exact.

A SentencePiece-like BPE tokenizer, Gemma's among them, merges over a text as a whole, at about 1 MB/s. But no merge can
cross a place between two characters that stand side by side in no token of the vocabulary: cut there, the pieces'
tokens are the text's. Most pieces are words seen before, whose tokens are remembered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

# Character classes of the cut table: ASCII, the mark of a space, all others. Nothing is cut beside the others.
_SPACE_MARK = "▁"
_OTHER = 128
# Pieces remembered; when full, memory is given back and learning begins anew.
_MAX_REMEMBERED = 500_000


class TextEncoder:
    """Encodes texts with `tokenizer`, without adding tokens at the ends."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        specification = json.loads(tokenizer.to_str())
        self._cuts = cut_table(specification)
        self._whole: Any = tokenizer
        self._continuing = tokenizer
        if drop_leading_space(specification):
            self._continuing = Tokenizer.from_str(json.dumps(specification))
        self._known_whole: dict[str, list[int]] = {}
        self._known_continuing: dict[str, list[int]] = {}

    def encode_chats(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, in which the spelling of a special token becomes that token: what a chat server does
        with a rendered chat."""
        self._whole.encode_special_tokens = False
        return self._encode(self._whole, self._known_whole, texts)

    def encode_answers(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text as it goes on after a prefix: no space is put before it, and the spelling of a special
        token is ordinary text."""
        self._continuing.encode_special_tokens = True
        return self._encode(self._continuing, self._known_continuing, texts)

    def encode_marker(self, text: str) -> list[int]:
        """The ids of a chat marker that goes on after an answer: a special token, or the ordinary text it is."""
        self._continuing.encode_special_tokens = False
        return _ids(self._continuing, [text])[0]

    def _encode(self, tokenizer: Any, known: dict[str, list[int]], texts: Sequence[str]) -> list[list[int]]:
        if self._cuts is None:
            return _ids(tokenizer, texts)
        pieces = [pieces_of(text, self._cuts) for text in texts]
        if len(known) > _MAX_REMEMBERED:
            known.clear()
        new = list({piece for text in pieces for piece in text if piece not in known})
        known.update(zip(new, _ids(tokenizer, new), strict=True))
        return [[token for piece in text for token in known[piece]] for text in pieces]


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def cut_table(specification: dict[str, Any]) -> np.ndarray | None:
    """Where a text may be cut: bool of shape (129, 129), true for pairs of neighbouring ASCII characters that no token
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
    cuts = np.ones((_OTHER + 1, _OTHER + 1), bool)
    cuts[_OTHER, :] = cuts[:, _OTHER] = False
    for token in [*model["vocab"], *(token["content"] for token in added)]:
        text = token.replace(_SPACE_MARK, " ") if marks_spaces else token
        classes = _classes(text)
        cuts[classes[:-1], classes[1:]] = False
    return cuts


def pieces_of(text: str, cuts: np.ndarray) -> list[str]:
    """`text` cut wherever `cuts` allows; joined, the pieces are the text."""
    if not text:
        return []
    classes = _classes(text)
    places = (np.flatnonzero(cuts[classes[:-1], classes[1:]]) + 1).tolist()
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def _classes(text: str) -> np.ndarray:
    """The class of each character, shape (characters,)."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.minimum(points, _OTHER)


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
