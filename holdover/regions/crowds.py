"""How many may do something at once, in one process."""

from __future__ import annotations

import contextvars
import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from holdover.regions.forks import renew_after_fork
from holdover.regions.seats import Seat, seats


class Crowd:
    """Lets a bounded number in at once.

    Who is in may come in again without another place, so that those inside never wait
    for each other.

    Args:
        places: How many.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._is_inside = contextvars.ContextVar("is_inside", default=False)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin empty: the others stayed behind in the parent."""
        self._free = seats(self._places)

    @contextmanager
    def joined(self, patience: float) -> Iterator[None]:
        """Be inside during the block; after *patience* seconds, even if it is full."""
        if self._is_inside.get():
            yield
            return
        seat: Seat | None = None
        with suppress(queue.Empty):
            seat = self._free.get(timeout=patience)
        before = self._is_inside.set(True)
        try:
            yield
        finally:
            self._is_inside.reset(before)
            if seat is not None:
                seat.leave()
