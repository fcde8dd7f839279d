"""Token ids back to text, as the tokenizer itself decodes them, faster where a table of its tokens is enough."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Speller:
    """Decodes rows of token ids, special tokens spelled out."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer: Any = tokenizer
        self._table = spelling_table(json.loads(tokenizer.to_str()))

    def decode(self, rows: Sequence[np.ndarray]) -> list[str]:
        """The text of each row of ids, int32 of shape (tokens,). Bytes that are no UTF-8 become U+FFFD."""
        if self._table is None:
            return self._tokenizer.decode_batch([row.tolist() for row in rows], skip_special_tokens=False)
        spell = self._table.__getitem__
        return [b"".join(map(spell, row.tolist())).decode("utf-8", "replace") for row in rows]


def spelling_table(specification: dict[str, Any]) -> list[bytes] | None:
    """The bytes of each token, for a decoder of Gemma's kind: spaces unmarked, bytes for what is unknown, all joined.
    None for any other decoder."""
    decoder = specification.get("decoder") or {}
    kinds = [part["type"] for part in decoder.get("decoders", [])]
    if kinds != ["Replace", "ByteFallback", "Fuse"] or specification["model"]["type"] != "BPE":
        return None
    marks_spaces = decoder["decoders"][0]
    pattern, space = marks_spaces["pattern"].get("String"), marks_spaces["content"]
    vocabulary = dict(specification["model"]["vocab"])
    vocabulary.update((token["content"], token["id"]) for token in specification.get("added_tokens", []))
    if pattern is None:
        return None
    table = [b""] * (max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        byte = _BYTE.fullmatch(token)
        table[number] = bytes([int(byte[1], 16)]) if byte else token.replace(pattern, space).encode()
    return table
