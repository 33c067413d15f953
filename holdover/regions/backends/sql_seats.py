"""Where the idle connections of `holdover.sql` wait for their next statement."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
import weakref
from typing import Any, Protocol

from holdover.regions.errors import BackendError
from holdover.regions.seats import Seat, seats

_inherited: list[object] = []
"""A parent's connections, kept: closing them here could end them there."""


class Use:
    """Tells how long a connection concerns its database.

    Attributes:
        is_over: False from before it is opened until after it was closed.
    """

    is_over = False


class Wire:
    """A connection and its only cursor; closed when its last user lets it go.

    Args:
        raw: The driver's connection.
        cursor: The driver's cursor.

    Attributes:
        use: Is over once it is closed.
        file: What was found where SQLite's file is, just before it was opened.
        due_at: When (monotonic) to look there again.
    """

    __slots__ = (
        "__weakref__",
        "close",
        "cursor",
        "due_at",
        "execute",
        "fetchone",
        "file",
        "raw",
        "use",
    )

    def __init__(self, raw: Any, cursor: Any) -> None:
        self.due_at = math.inf
        self.file: object = None
        self.raw = raw
        self.cursor = cursor
        self.execute = cursor.execute
        self.fetchone = cursor.fetchone
        # Not __del__, which might come after that of the connection, which complains.
        self.use = Use()
        self.close = weakref.finalize(self, _close, raw, os.getpid(), self.use)


def _close(raw: Any, pid: int, use: Use) -> None:
    if pid != os.getpid():
        _inherited.append(raw)
        return
    with contextlib.suppress(Exception):  # it is not usable, whatever ails it
        raw.close()
    use.is_over = True


class Place(Protocol):
    """Where one connection may be, for one who asks at a time.

    Attributes:
        kept: The idle connection, if there is one. Who uses it takes it out.
    """

    kept: list[Wire]


class Seats(Protocol):
    """What a link needs of them."""

    def own(self) -> Place | None:
        """Give the place that this thread has anyway, as `take` does; None if none."""

    def take(self) -> Place:
        """Take a place.

        Raises:
            BackendError: There is none.
        """

    def give(self, place: Place) -> None:
        """Give back what was taken; does nothing if it was given before."""

    def close_idle(self) -> None:
        """Close what nobody uses right now."""

    def for_child(self) -> Seats:
        """Give others like these, without a connection, in the child of a fork."""


class _Own(threading.local):
    """The connection of this thread: none, while it is in use.

    Whatever ends a statement in the middle (Ctrl-C, a time limit, a greenlet's kill)
    thereby also loses the connection, so that no result is taken for another's; and a
    signal handler that asks the cache in the middle of one gets its own.
    """

    def __init__(self, known: weakref.WeakSet[_Place]) -> None:
        self.place = _Place()
        known.add(self.place)


class _Place:
    """See `Place`. It and its connection end with its thread."""

    def __init__(self) -> None:
        self.kept: list[Wire] = []


class OwnSeats:
    """A connection for every thread."""

    def __init__(self) -> None:
        self._known: weakref.WeakSet[_Place] = weakref.WeakSet()
        self._own = _Own(self._known)

    def own(self) -> Place:
        """See `Seats.own`."""
        return self._own.place

    take = own

    def give(self, place: Place) -> None:
        """See `Seats.give`. A thread's place is always its own."""

    def close_idle(self) -> None:
        """See `Seats.close_idle`."""
        for place in list(self._known):
            _close_kept(place)

    def for_child(self) -> Seats:
        """See `Seats.for_child`."""
        return OwnSeats()


class SharedSeats:
    """A bounded number of connections for all threads.

    Args:
        most: How many.
        wait: Seconds until a thread that gets none gives up.
    """

    def __init__(self, most: int, wait: float) -> None:
        self._most = most
        self._wait = wait
        self._free = seats(most)

    def own(self) -> None:
        """See `Seats.own`."""

    def take(self) -> Seat:
        """See `Seats.take`."""
        try:
            return self._free.get(timeout=self._wait)
        except queue.Empty:
            raise BackendError(
                f"no connection was free for {self._wait:g} s: "
                f"max_connections is {self._most}"
            ) from None

    def give(self, place: Place) -> None:
        """See `Seats.give`."""
        if isinstance(place, Seat):  # and not one of a thread's, from before a fork
            place.leave()

    def close_idle(self) -> None:
        """See `Seats.close_idle`."""
        for _ in range(self._most):
            try:
                seat = self._free.get_nowait()
            except queue.Empty:
                return
            _close_kept(seat)
            seat.leave()

    def for_child(self) -> Seats:
        """See `Seats.for_child`."""
        return SharedSeats(self._most, self._wait)


class HeldSeats:
    """Seats that wait for a fork to be over.

    Args:
        held: The seats themselves.
        over: Set once it is over.
        most: Seconds to wait for that.
    """

    def __init__(self, held: Seats, over: threading.Event, most: float) -> None:
        self.held = held
        self._over = over
        self._most = most

    def own(self) -> None:
        """See `Seats.own`. Whoever wants one has to wait."""

    def take(self) -> Place:
        """See `Seats.take`."""
        self._over.wait(self._most)
        return self.held.take()

    def give(self, place: Place) -> None:
        """See `Seats.give`."""
        self.held.give(place)
        self.held.close_idle()

    def close_idle(self) -> None:
        """See `Seats.close_idle`."""
        self.held.close_idle()

    def for_child(self) -> Seats:
        """See `Seats.for_child`."""
        return self.held.for_child()


def _close_kept(place: Place) -> None:
    while place.kept:
        try:
            place.kept.pop().close()
        except IndexError:  # its thread was quicker
            return
