"""Rights of which there are few, and which nobody can lose."""

from __future__ import annotations

import queue

Free = queue.SimpleQueue["Seat"]
"""Seats that nobody has.

Not a semaphore: that is Python, and an exception from outside between two of its steps
could leave it locked.
"""


class Seat:
    """The right to one of several places."""

    free: Free | None = None  # where it came from; None once it was left

    def leave(self) -> None:
        """Make place for the next."""
        free = self.free
        if free is None:
            return
        # A class without a constructor in Python, which could be interrupted: so that
        # from the next line on there is no step at which the place could get lost.
        successor = Seat()
        successor.free, self.free = free, None
        free.put(successor)

    __del__ = leave  # an exception from outside came between taking and using it


def seats(count: int) -> Free:
    """Give *count* free seats."""
    free: Free = queue.SimpleQueue()
    for _ in range(count):
        seat = Seat()
        seat.free = free
        free.put(seat)
    return free
