"""Rows that repeat an earlier row, word for word or nearly.

Near duplicates are found by MinHash and locality-sensitive hashing (Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", chapter 3): pairs whose signatures agree in one band are candidates, and of those the Jaccard similarity
itself decides. A row is compared with the kept ones before it only.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence

import numpy as np

from scripts.data.codev import Sample

# In Verilog an operator is a word: rows that differ in `&` and `|` alone are not the same.
_WORD = re.compile(r"\w+|[^\w\s]")
SHINGLE_WORDS = 5
# Odd, so that no word of a shingle is lost modulo 2^64.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
PERMUTATIONS = 128
SEED = 1
# How likely at most a pair exactly at the threshold is missed; one above it is missed less often.
MAX_MISS_PROBABILITY = 0.01
# Rows whose shingles are kept at hand, some 10 kB each: duplicates come in clusters.
SHINGLES_CACHED = 4096
WORDS_CACHED = 1 << 17
# Shingles hashed at a time: bounds the memory that a huge row takes (128 permutations x 4 bytes each).
MINHASH_BATCH = 1 << 16


def exact_duplicates(samples: Sequence[Sample]) -> list[str | None]:
    """Names the first sample with the same prompt and answer, white space apart; None for a first one.

    The same prompt with another answer is no duplicate, nor is the same answer to another prompt.
    """
    first: dict[tuple[bytes, bytes], str] = {}
    reasons: list[str | None] = []
    for sample in samples:
        key = (_digest(sample.prompt), _digest(sample.answer))
        reasons.append(f"duplicate of {first[key]}" if key in first else None)
        first.setdefault(key, sample.id)
    return reasons


def near_duplicates(samples: Sequence[Sample], min_jaccard: float) -> list[str | None]:
    """Names the first kept sample whose word 5-grams of prompt and answer have at least this Jaccard similarity.

    Every sample named is that similar; of pairs exactly at `min_jaccard` up to 1 % may be missed. Raises ValueError
    unless 0 < min_jaccard <= 1.
    """
    from datasketch import MinHash, MinHashLSH

    bands, rows = banding(min_jaccard)
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(bands, rows))
    empty = MinHash(PERMUTATIONS, seed=SEED, hashfunc=int)

    @functools.lru_cache(SHINGLES_CACHED)
    def shingles_of(number: int) -> np.ndarray:
        return shingles(_text(samples[number]))

    reasons: list[str | None] = []
    for number in range(len(samples)):
        own = shingles_of(number)
        signature = empty.copy()
        for start in range(0, len(own), MINHASH_BATCH):
            signature.update_batch((own[start : start + MINHASH_BATCH] >> np.uint64(32)).tolist())
        reason = None
        for other in sorted(index.query(signature)):
            similarity = jaccard(own, shingles_of(other))
            if similarity >= min_jaccard:
                reason = f"near duplicate of {samples[other].id} (Jaccard {similarity:.2f})"
                break
        else:
            index.insert(number, signature)
        reasons.append(reason)
    return reasons


def banding(min_jaccard: float) -> tuple[int, int]:
    """(bands, rows of a band): the most selective split of the signature that misses few enough pairs.

    A pair of similarity s becomes a candidate with probability 1 - (1 - s^rows)^bands.
    """
    if not 0 < min_jaccard <= 1:
        raise ValueError(f"min_jaccard must be above 0 and at most 1, found {min_jaccard}")
    for rows in range(PERMUTATIONS // 2, 1, -1):
        bands = PERMUTATIONS // rows
        if (1 - min_jaccard**rows) ** bands <= MAX_MISS_PROBABILITY:
            return bands, rows
    return PERMUTATIONS, 1


def shingles(text: str) -> np.ndarray:
    """The distinct word 5-grams of `text` as sorted 64-bit hashes, uint64 of shape (shingles,), never empty.

    A text of fewer words is one shingle. Two different 5-grams share a hash with probability 2^-64 or little more.
    """
    words = np.array([_word_hash(word) for word in _WORD.findall(text)], np.uint64)
    length = min(SHINGLE_WORDS, len(words))
    count = len(words) - length + 1
    hashes = np.full(count, length, np.uint64)
    for place in range(length):
        hashes = hashes * _MULTIPLIER + words[place : place + count]
    return np.unique(hashes)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """|a & b| / |a | b| of two sorted arrays without repetitions."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


@functools.lru_cache(WORDS_CACHED)
def _word_hash(word: str) -> int:
    """64 bits that are the same in every process, as Python's own hash of a text is not."""
    return int.from_bytes(hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _text(sample: Sample) -> str:
    return f"{sample.prompt}\n{sample.answer}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(" ".join(text.split()).encode(errors="surrogatepass")).digest()
