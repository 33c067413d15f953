"""Where the idle connections of `holdover.sql` wait for their next statement."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import weakref
from typing import Any, Protocol

from holdover.regions.errors import BackendError

_inherited: list[object] = []
"""A parent's connections, kept: closing them here could end them there."""


class Wire:
    """A connection and its only cursor; closed when its last user lets it go.

    Args:
        raw: The driver's connection.
        cursor: The driver's cursor.
    """

    __slots__ = ("__weakref__", "close", "cursor", "execute", "fetchone", "raw")

    def __init__(self, raw: Any, cursor: Any) -> None:
        self.raw = raw
        self.cursor = cursor
        self.execute = cursor.execute
        self.fetchone = cursor.fetchone
        # Not __del__, which might come after that of the connection, which complains.
        self.close = weakref.finalize(self, _close, raw, os.getpid())


def _close(raw: Any, pid: int) -> None:
    if pid != os.getpid():
        _inherited.append(raw)
        return
    with contextlib.suppress(Exception):  # it is not usable, whatever ails it
        raw.close()


class Seats(Protocol):
    """What a link needs of them."""

    def take(self) -> Wire | None:
        """Take an idle connection; None is the right to open one.

        Raises:
            BackendError: There is none, and no right to another.
        """

    def give(self, wire: Wire) -> None:
        """Give back what was taken, or opened in its place."""

    def lose(self) -> None:
        """Give back the right only: the connection is gone."""

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

    def __init__(self, known: _Known) -> None:
        self.wires: list[Wire] = []
        known.add(threading.current_thread(), self.wires)


class _Known:
    """Where each thread's connection lies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the dictionary
        self._places: weakref.WeakKeyDictionary[threading.Thread, list[Wire]] = (
            weakref.WeakKeyDictionary()
        )

    def add(self, thread: threading.Thread, wires: list[Wire]) -> None:
        """Remember a thread's."""
        with self._lock:
            self._places[thread] = wires

    def all(self) -> list[list[Wire]]:
        """Give those of all threads."""
        with self._lock:
            return list(self._places.values())


class OwnSeats:
    """A connection for every thread."""

    def __init__(self) -> None:
        self._known = _Known()
        self._own = _Own(self._known)

    def take(self) -> Wire | None:
        """See `Seats.take`."""
        try:
            return self._own.wires.pop()
        except IndexError:
            return None

    def give(self, wire: Wire) -> None:
        """See `Seats.give`."""
        self._own.wires.append(wire)

    def lose(self) -> None:
        """See `Seats.lose`."""

    def close_idle(self) -> None:
        """See `Seats.close_idle`."""
        for wires in self._known.all():
            while wires:
                try:
                    wires.pop().close()
                except IndexError:  # its thread was quicker
                    break

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
        self._free: queue.SimpleQueue[Wire | None] = queue.SimpleQueue()
        for _ in range(most):
            self._free.put(None)

    def take(self) -> Wire | None:
        """See `Seats.take`."""
        try:
            return self._free.get(timeout=self._wait)
        except queue.Empty:
            raise BackendError(
                f"no connection was free for {self._wait:g} s: "
                f"max_connections is {self._most}"
            ) from None

    def give(self, wire: Wire) -> None:
        """See `Seats.give`."""
        self._free.put(wire)

    def lose(self) -> None:
        """See `Seats.lose`."""
        self._free.put(None)

    def close_idle(self) -> None:
        """See `Seats.close_idle`."""
        for _ in range(self._most):
            try:
                wire = self._free.get_nowait()
            except queue.Empty:
                return
            if wire is not None:
                wire.close()
            self._free.put(None)

    def for_child(self) -> Seats:
        """See `Seats.for_child`."""
        return SharedSeats(self._most, self._wait)
