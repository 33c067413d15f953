"""The creator: it searches, and leaves a note of each of its runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from holdover.demo import journal
from holdover.demo.corpus import standard_library
from holdover.demo.ranking import Hit, rank
from holdover.demo.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """What the site found, and when; the value that is cached.

    Attributes:
        query: What was asked.
        hits: The files found, the best first.
        files: How many were read for it.
        made_at: When the search was done (wall clock, seconds).
        cost: Seconds that it took.
    """

    query: str
    hits: tuple[Hit, ...]
    files: int
    made_at: float
    cost: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the creator.

    Attributes:
        query: What was searched for.
        pid: The process that did it.
        started_at: When (wall clock, seconds).
        ended_at: When it was done (wall clock, seconds).
        task_id: Celery's name for the task that it was a part of; None if of none.
    """

    query: str
    pid: int
    started_at: float
    ended_at: float
    task_id: str | None = None


Lookup = Callable[[str], Answer]
"""How the site comes by the answer to a query."""


def make_answer(query: str) -> Answer:
    """Search the standard library. Takes some 30 ms of a processor's time."""
    return make_answer_in_task(query, task_id=None)


def make_answer_in_task(query: str, task_id: str | None) -> Answer:
    """Do as `make_answer`, and note the Celery task that does it, if one does."""
    started_at = time.time()
    corpus = standard_library()
    hits = rank(corpus, query)
    ended_at = time.time()
    if (settings := Settings.from_environment()) is not None:
        run = Run(query, os.getpid(), started_at, ended_at, task_id)
        journal.append(settings.runs, asdict(run))
    return Answer(query, hits, len(corpus.documents), ended_at, ended_at - started_at)
