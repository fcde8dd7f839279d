"""Rows that give away an evaluation problem: a shared word 13-gram, or a ROUGE-L above a threshold.

CodeV-R1's authors removed rows whose ROUGE-L with the benchmarks (VerilogEval and RTLLM) is above 0.5 (data set card of
zhuyaoyu/CodeV-R1-dataset, with arXiv 2505.24183); the card leaves open which texts were compared. Here answers are
compared with references and prompts with prompts, and both for 13-grams, the measure of GPT-3's authors (arXiv
2005.14165, appendix C): it finds a copied passage in a long text, to which ROUGE-L is blind.

Of a module of a few lines most words are its interface, and ROUGE sees no operators: an adder is 0.8 like a NOR gate.
So at 0.5 a short answer seldom stays, copied or not: of the miniature's 1,500 answers below 40 words 89 % are above 0.5
with some reference of VerilogEval, and so are 129 of VerilogEval's own 156 references with another problem's.

An n-gram in more than two problems is the benchmark's boilerplate ("I would like you to implement a module named ...")
and names none; two, because some problems have a twin. Of the 19,354 13-grams of VerilogEval's 156 problems 467 go by
that rule, and each problem keeps at least 3.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.common.problems import Problem
from scripts.data.codev import Sample

NGRAM_WORDS = 13
MAX_PROBLEMS_OF_AN_NGRAM = 2
ROWS_AT_A_TIME = 1024
# ROUGE's words: lower case, letters and digits, no stemming (google-research/rouge, tokenize.py).
_WORD = re.compile(r"[a-z0-9]+")
_MODULE_NAME = re.compile(r"\b(module\s+)[A-Za-z_][\w$]*")


def overlaps(
    samples: Sequence[Sample], problems: Sequence[Problem], max_rouge_l: float, jobs: int = 1
) -> list[str | None]:
    """Names the problem that a sample overlaps with, and by what measure; `jobs` threads compute.

    ROUGE-L is the F1 of the longest common subsequence of words, in [0, 1]. Raises ValueError for another threshold.
    """
    if not 0 <= max_rouge_l <= 1:
        raise ValueError(f"max_rouge_l must be from 0 to 1, found {max_rouge_l}")
    if not problems:
        return [None] * len(samples)
    benchmark = Benchmark.of(problems)
    reasons: list[str | None] = []
    for start in range(0, len(samples), ROWS_AT_A_TIME):
        rows = samples[start : start + ROWS_AT_A_TIME]
        prompts = [encode(words(row.prompt), benchmark.characters) for row in rows]
        answers = [encode(code_words(row.answer), benchmark.characters) for row in rows]
        by_answer = closest(answers, benchmark.references, max_rouge_l, jobs)
        by_prompt = closest(prompts, benchmark.prompts, max_rouge_l, jobs)
        for prompt, answer, code_match, prompt_match in zip(prompts, answers, by_answer, by_prompt, strict=True):
            reasons.append(benchmark.reason(prompt, answer, code_match, prompt_match))
    return reasons


@dataclass(frozen=True)
class Benchmark:
    """The problems' texts as strings with one character a word, which is what fast string matching takes.

    Character 0 stands for every word that no problem has: it matches nothing. `ngrams` maps each 13-gram that names a
    problem to that problem's name.
    """

    names: list[str]
    characters: dict[str, str]
    prompts: list[str]
    references: list[str]
    ngrams: dict[str, str]

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Benchmark:
        names = [problem.name for problem in problems]
        prompts = [words(problem.prompt) for problem in problems]
        references = [code_words(problem.reference) for problem in problems]
        # Frequent words first: matching is fastest for characters below 256.
        counts = collections.Counter(word for text in [*prompts, *references] for word in text)
        characters = {word: chr(number) for number, (word, _) in enumerate(counts.most_common(), start=1)}
        prompts_encoded = [encode(prompt, characters) for prompt in prompts]
        references_encoded = [encode(reference, characters) for reference in references]
        ngrams = naming_ngrams(names, zip(prompts_encoded, references_encoded, strict=True))
        return cls(names, characters, prompts_encoded, references_encoded, ngrams)

    def reason(
        self, prompt: str, answer: str, code_match: tuple[int, float] | None, prompt_match: tuple[int, float] | None
    ) -> str | None:
        for text in (prompt, answer):
            for ngram in ngrams_of(text):
                if ngram in self.ngrams:
                    return f"{NGRAM_WORDS}-gram of {self.ngrams[ngram]}"
        for match, part in ((code_match, "reference"), (prompt_match, "prompt")):
            if match is not None:
                return f"ROUGE-L {match[1]:.2f} with {self.names[match[0]]}'s {part}"
        return None


def encode(text: Iterable[str], characters: Mapping[str, str]) -> str:
    """One character a word; character 0 for a word that `characters` lacks."""
    return "".join([characters.get(word, "\0") for word in text])


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def code_words(code: str) -> list[str]:
    """The words of Verilog without its modules' names: RefModule and TopModule are the benchmark's, not the task's."""
    return words(_MODULE_NAME.sub(r"\1", code))


def ngrams_of(text: str) -> Iterator[str]:
    """The 13-grams of an encoded text that have only words of the problems."""
    for run in text.split("\0"):
        for start in range(len(run) - NGRAM_WORDS + 1):
            yield run[start : start + NGRAM_WORDS]


def naming_ngrams(names: Sequence[str], texts: Iterable[Iterable[str]]) -> dict[str, str]:
    """Each 13-gram of `texts`, the encoded texts of each problem, that is no boilerplate, with the first problem that
    has it."""
    owners: dict[str, list[str]] = collections.defaultdict(list)
    for name, parts in zip(names, texts, strict=True):
        for ngram in {ngram for text in parts for ngram in ngrams_of(text)}:
            owners[ngram].append(name)
    return {ngram: having[0] for ngram, having in owners.items() if len(having) <= MAX_PROBLEMS_OF_AN_NGRAM}


def closest(
    texts: Sequence[str], references: Sequence[str], above: float, jobs: int = 1
) -> list[tuple[int, float] | None]:
    """For each encoded text the index of the reference with the highest ROUGE-L and that score, if it is above `above`.

    ROUGE-L's F1 is 2 LCS / (m + n) for texts of m and n words, which is what rapidfuzz calls the normalised similarity
    by insertions and deletions. Empty texts are like nothing.
    """
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    scores = cdist(
        texts,
        references,
        scorer=Indel.normalized_similarity,
        score_cutoff=above,
        dtype=np.float64,
        workers=jobs,
    )
    best = scores.argmax(axis=1)
    return [
        (int(index), float(row[index])) if text and row[index] > above else None
        for text, index, row in zip(texts, best, scores, strict=True)
    ]
