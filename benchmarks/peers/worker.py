"""The process of one subject: it builds that, and times it when asked.

The first line that it reads names the subject and its place, as `Conductor` sends them;
each further one says for how many seconds to time it.
"""

from __future__ import annotations

import gc
import os
from importlib import import_module
from typing import Any

from peers.pipes import answering, questions
from peers.subject import VALUES, Call, Maker, Place, Subject
from peers.timing import Round, Timer, timer_of


class WrongValue(Exception):
    """A subject does not give what it was given, or not out of its cache."""


class Bench:
    """A subject that is ready to be timed.

    Args:
        subject: Who it is.
        place: Where it keeps its value.

    Raises:
        WrongValue: It gives another value, or makes it anew.
    """

    def __init__(self, subject: Subject, place: Place) -> None:
        self._expected = VALUES[subject.case]
        self._make = Maker(self._expected)
        self._timer: Timer = timer_of(built(subject, place, self._make), subject.case)
        self._timer.once()
        self._runs = self._make.runs
        self._see(self._timer.once())
        self._timer.settle()
        gc.collect()

    def time(self, seconds: float) -> Round:
        """Give what one call takes, timed for so many seconds."""
        taken = self._timer.time(seconds)
        self._see(self._timer.once())
        return taken

    def _see(self, given: Any) -> None:
        if self._plain(given) != self._expected:
            raise WrongValue(f"wanted {self._expected!r:.200}, found {given!r:.200}")
        if self._make.runs != self._runs:
            raise WrongValue("the value was made again: this is no hit")

    def _plain(self, given: Any) -> Any:
        """Give many values as a list: with some peers they come by key."""
        if not isinstance(self._expected, list):
            return given
        return list(given.values() if isinstance(given, dict) else given)


def built(subject: Subject, place: Place, make: Maker) -> Call:
    """Give what a subject is called by."""
    module, _, function = subject.builder.partition(":")
    return getattr(import_module(f"peers.subjects.{module}"), function)(place, make)


def main() -> None:
    with answering() as answer:
        asked = questions()
        first = next(asked)
        bench = Bench(Subject(**first["subject"]), Place(**first["place"]))
        answer({"ready": True})
        for order in asked:
            answer(bench.time(order["seconds"])._asdict())
    # Nothing that a library does at its end is of use to anyone.
    os._exit(0)


if __name__ == "__main__":
    main()
