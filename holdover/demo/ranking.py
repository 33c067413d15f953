"""Which files of a corpus answer a query best, found by reading all of them.

Every file is scanned for every term, and ranked by BM25 (Robertson and Zaragoza, "The
Probabilistic Relevance Framework", 2009); the best are then read closely, for what
they define and for a line to show. There is no index, so a search has a price.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from holdover.demo.corpus import Corpus, Document

# BM25's usual constants: how soon repetition stops to count, how much length matters.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
_MOST_TERMS = 6
_READ_CLOSELY = 150  # files
_SNIPPET_LENGTH = 160  # characters

_WORD = re.compile(r"[a-z0-9_]{2,40}")
_DEFINITION = re.compile(r"[ \t]*(?:async def|def|class) ")


@dataclass(frozen=True, slots=True)
class Hit:
    """A file that was found.

    Attributes:
        path: Its path in the corpus.
        score: How well it answers; higher is better.
        line: Number of the line that is shown, from 1.
        snippet: That line.
    """

    path: str
    score: float
    line: int
    snippet: str


def terms_of(query: str) -> list[str]:
    """Give the different words of *query* that can be searched for, in lower case."""
    return list(dict.fromkeys(_WORD.findall(query.lower())))[:_MOST_TERMS]


def rank(corpus: Corpus, query: str, limit: int = 10) -> tuple[Hit, ...]:
    """Search *corpus*; give at most *limit* files, the best first."""
    terms = [_Term(word) for word in terms_of(query)]
    scores = _bm25(corpus, [term.counts(corpus) for term in terms])
    best = heapq.nlargest(_READ_CLOSELY, range(len(scores)), key=scores.__getitem__)
    hits = [
        _read_closely(corpus.documents[index], terms, scores[index])
        for index in best
        if scores[index] > 0
    ]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.path))[:limit])


class _Term:
    """A word of a query, which its common endings match too."""

    __slots__ = ("pattern", "word")

    def __init__(self, word: str) -> None:
        self.word = word
        self.pattern = re.compile(rf"{re.escape(word)}(?:s|es|ed|er|ing)?(?![a-z])")

    def counts(self, corpus: Corpus) -> list[int]:
        """Say how often it stands in each file."""
        find = self.pattern.findall
        return [len(find(document.lowered)) for document in corpus.documents]


def _bm25(corpus: Corpus, counts: Sequence[Sequence[int]]) -> list[float]:
    """Score each file by how often it holds each of the terms."""
    scores = [0.0] * len(corpus.documents)
    for of_term in counts:
        weight = _rarity(of_term)
        for index, count in enumerate(of_term):
            if count:
                length = len(corpus.documents[index].text) / corpus.average_length
                dampened = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length
                scores[index] += (
                    weight
                    * count
                    * (_SATURATION + 1)
                    / (count + _SATURATION * dampened)
                )
    return scores


def _rarity(counts: Sequence[int]) -> float:
    """The inverse document frequency, never negative."""
    having = sum(1 for count in counts if count)
    return math.log(1 + (len(counts) - having + 0.5) / (having + 0.5))


def _read_closely(document: Document, terms: Sequence[_Term], score: float) -> Hit:
    """Weigh its name, what it defines, and which terms stand in one line."""
    lines = _lines_with(document, terms)
    start, words = max(lines.items(), key=lambda pair: _appeal(document, *pair))
    defining = sum(1 for one in lines if _DEFINITION.match(document.lowered, one))
    named = sum(1 for term in terms if term.word in document.path.lower())
    factor = 1 + 0.2 * math.log1p(defining) + 0.4 * (len(words) - 1) + 0.5 * named
    number = document.lowered.count("\n", 0, start)
    shown = document.text.split("\n", number + 1)[number].strip()[:_SNIPPET_LENGTH]
    return Hit(document.path, round(score * factor, 3), number + 1, shown)


def _lines_with(document: Document, terms: Sequence[_Term]) -> dict[int, set[str]]:
    """Give the terms that stand in each line, by the line's offset."""
    lines: dict[int, set[str]] = {}
    for term in terms:
        for match in term.pattern.finditer(document.lowered):
            start = document.lowered.rfind("\n", 0, match.start()) + 1
            lines.setdefault(start, set()).add(term.word)
    return lines


def _appeal(document: Document, start: int, words: set[str]) -> tuple[int, bool, int]:
    """Say how much a line tells: its terms, then whether it defines, then the first."""
    return len(words), bool(_DEFINITION.match(document.lowered, start)), -start
