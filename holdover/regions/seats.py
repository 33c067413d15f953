"""Rights of which there are few, and which nobody can lose."""

from __future__ import annotations

import queue
import weakref
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

    It does not keep the queue that it came from, which keeps it: a seat that ends
    together with its queue would make another, which kept both, at each collection of
    garbage one more. And who still has one when nobody wants it any more makes none.

    Attributes:
        free: Where it came from; None once it was left.
        kept: What lies at the place, and stays for the next.
    """

    free: weakref.ref[Free] | None = None
    kept: list[Any]

    def leave(self) -> None:
        """Make place for the next; does nothing if it was left before."""
        known = self.free
        free = None if known is None else known()
        if free is None:
            return
        # A class without a constructor in Python, which could be interrupted: so that
        # from the last but one line on there is no step at which the place could get
        # lost.
        successor = Seat()
        successor.kept = self.kept
        successor.free, self.free = known, None
        free.put(successor)

    __del__ = leave  # an exception from outside came between taking and using it


def seats(count: int) -> Free:
    """Give *count* free seats."""
    free: Free = queue.SimpleQueue()
    known = weakref.ref(free)
    for _ in range(count):
        seat = Seat()
        seat.kept = []
        seat.free = known
        free.put(seat)
    return free
