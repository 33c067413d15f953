"""Rights of which there are few, and which nobody can lose."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

Free = queue.SimpleQueue["Seat"]
"""Seats that nobody has.

Not a semaphore: that is Python, and an exception from outside between two of its steps
could leave it locked.
"""


class Seat:
    """The right to one of several places.

    A seat is had once: who leaves it makes another for the next. So nobody loses a
    place to a frame that somebody still looks at (a traceback that is kept, a
    debugger), as long as he leaves it.

    Attributes:
        free: Where it came from; None once it was left.
        kept: What lies at the place, and stays for the next.
    """

    free: Free | None = None
    kept: list[Any]

    def leave(self) -> None:
        """Make place for the next; does nothing if it was left before."""
        free = self.free
        if free is None:
            return
        # A class without a constructor in Python, which could be interrupted: so that
        # from the last but one line on there is no step at which the place could get
        # lost.
        successor = Seat()
        successor.kept = self.kept
        successor.free, self.free = free, None
        free.put(successor)

    __del__ = leave  # an exception from outside came between taking and using it


def seats(count: int) -> Free:
    """Give *count* free seats."""
    free: Free = queue.SimpleQueue()
    for _ in range(count):
        seat = Seat()
        seat.kept = []
        seat.free = free
        free.put(seat)
    return free


def taken_away(free: Free) -> Iterator[Seat]:
    """Give each free seat, which nobody will have again.

    For whoever ends: each seat knows where it came from, so that the two would keep
    each other, and what lies there.
    """
    with suppress(queue.Empty):
        while True:
            seat = free.get_nowait()
            yield seat
            seat.free = None
