"""Who works when: every subject is a process, and only one of them works at a time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from peers.pipes import Child
from peers.subject import Place, Subject
from peers.timing import Round

SLICE = 0.02  # seconds per subject and round
# Threads need to take turns often, and a large value takes milliseconds.
LONGER = {"threads": 5, "5 MB": 3}


@contextmanager
def store(name: str) -> Iterator[Place]:
    """Have a store, with its private server, for as long as it is wanted."""
    with Child("peers.keeper", f"the keeper of {name}") as keeper:
        yield Place(**keeper.ask({"store": name})["place"])


def times_of(
    subjects: Sequence[Subject], place: Place, rounds: int
) -> dict[Subject, list[Round]]:
    """Time subjects against each other: each in each round, in shuffled order.

    Args:
        subjects: Who is timed, on one store.
        place: Where that is.
        rounds: How often each gets its turn.

    Returns:
        What one call of each subject took, by round.

    Raises:
        ChildFailed: A subject cannot be built, or does not give what it should.
    """
    times: dict[Subject, list[Round]] = {subject: [] for subject in subjects}
    with ExitStack() as stack:
        workers = {one: stack.enter_context(started(one, place)) for one in subjects}
        for _ in range(rounds):
            for subject in random.sample(subjects, len(subjects)):
                seconds = SLICE * LONGER.get(subject.case, 1)
                answer = workers[subject].ask({"seconds": seconds})
                times[subject].append(Round(**answer))
    return times


@contextmanager
def started(subject: Subject, place: Place) -> Iterator[Child]:
    """Have a subject's process, which has seen that it gives its value."""
    with Child("peers.worker", str(subject)) as worker:
        own = place.of(subject).to_dict()
        worker.ask({"subject": asdict(subject), "place": own})
        yield worker
