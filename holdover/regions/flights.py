"""Single flight: one thread per process and key goes; the others get what it brings."""

from __future__ import annotations

import itertools
import math
import threading
from types import TracebackType
from typing import Any, Self

from holdover.regions.errands import dependent_threads
from holdover.regions.errors import RecursiveCreation
from holdover.regions.forks import renew_after_fork
from holdover.regions.latch import Latch
from holdover.regions.values import frozen

EVERYONE = math.inf
NOBODY = 0  # no thread has this identity

_tickets = itertools.count(1)


def ticket() -> int:
    """Draw a number that is higher than all drawn before, in this process."""
    return next(_tickets)


@frozen
class Landed:
    """What a flight brought.

    Attributes:
        value: The value, if there is one for the caller.
        error: The creator's own exception, shared by all who took part.
        traceback: The error's traceback as it left the creator.
        valid_before: The value is for calls that had drawn their ticket before this
            one. Whoever asked later may know of an invalidation that the value does
            not, and looks again.
    """

    value: Any = None
    error: Exception | None = None
    traceback: TracebackType | None = None
    valid_before: float = EVERYONE


NOTHING = Landed(valid_before=0)  # everyone looks again


class Flight:
    """One thread's errand for one key, and those who wait for it."""

    __slots__ = ("_done", "landed", "owner")

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self.landed = NOTHING  # written before the latch opens
        self._done = Latch()

    @property
    def has_landed(self) -> bool:
        """Whether the errand is over."""
        return self._done.is_open

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; say whether the flight has landed."""
        return self._done.wait(timeout)

    def land(self, landed: Landed) -> None:
        """Hand over what was brought and wake everyone."""
        self.landed = landed
        self._done.open()


class Flights:
    """The flights of one process.

    A flight takes in joiners until it is closed. Closing comes before the value is
    stored: whoever comes later finds the value, or starts a flight of his own.
    """

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget flights whose owners stayed behind in the parent."""
        self._lock = threading.Lock()  # guards all below
        self._flights: dict[object, Flight] = {}
        self._waiting: dict[int, Flight] = {}  # thread -> the flight it waits for

    def board(self, key: object, *, may_wait: bool = True) -> Boarding:
        """Join the flight for *key*, or start one, for the length of a ``with`` block.

        Args:
            key: What the flight is for.
            may_wait: Whether the caller would wait for another's flight; if so, one of
                his own would be waited for without end, and is an error.
        """
        return Boarding(self, key, may_wait=may_wait)

    def enter(self, key: object, mine: Flight, *, may_wait: bool) -> Flight:
        """Register *mine* for *key*, unless there is one; give the one there is.

        Raises:
            RecursiveCreation: It is owned by the calling thread, or one that waits for
                it, which would wait for itself.
        """
        with self._lock:
            flight = self._flights.setdefault(key, mine)
            if flight.has_landed:  # an exception from outside kept it from being closed
                flight = self._flights[key] = mine
        if may_wait and flight is not mine and flight.owner in dependent_threads():
            raise RecursiveCreation(
                f"the creator of {_shown(key)} asked for that same key: it would "
                "wait for itself"
            )
        return flight

    def close(self, key: object, flight: Flight) -> None:
        """Take in nobody any more. Closing twice does no harm."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def abandon(self, key: object, mine: Flight) -> None:
        """End a flight that its owner has lost; takes no lock, which he may hold."""
        if self._flights.get(key) is mine:
            self._flights.pop(key, None)
            if not mine.has_landed:
                mine.land(NOTHING)

    def wait(self, flight: Flight, timeout: float) -> bool:
        """Wait for *flight*; False if it did not land in time, or never could.

        It never could if its owner waits, over any number of hands, for a flight of
        the calling thread.
        """
        me, us = threading.get_ident(), dependent_threads()
        with self._lock:
            if self._leads_back_to(us, flight):
                return False
            self._waiting[me] = flight
        try:
            return flight.wait(timeout)
        finally:
            with self._lock:
                self._waiting.pop(me, None)

    def _leads_back_to(self, threads: set[int], flight: Flight) -> bool:
        following: Flight | None = flight
        while following is not None and not following.has_landed:
            if following.owner in threads:
                return True
            following = self._waiting.get(following.owner)
        return False


class Boarding:
    """A caller's part in a flight: its owner ends it when the block ends.

    The flight is made before it is registered, and ended by whoever made it, so that an
    exception from outside (a signal, a time limit) cannot leave it behind at any step.

    Attributes:
        flight: The flight.
        is_mine: Whether the caller owns it, and does the work.
    """

    __slots__ = ("_flights", "_key", "_may_wait", "_mine", "flight")

    def __init__(self, flights: Flights, key: object, *, may_wait: bool) -> None:
        self._flights = flights
        self._key = key
        self._may_wait = may_wait
        self.flight = self._mine = Flight()

    @property
    def is_mine(self) -> bool:
        """See the class."""
        return self.flight is self._mine

    def __enter__(self) -> Self:
        try:
            self.flight = self._flights.enter(
                self._key, self._mine, may_wait=self._may_wait
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._flights.close(self._key, self._mine)
        if not self._mine.has_landed:
            self._mine.land(NOTHING)

    def __del__(self) -> None:
        # An exception from outside came between entering and leaving the block, as an
        # ExitStack has such steps.
        if hasattr(self, "flight"):  # else it struck before there was one
            self._flights.abandon(self._key, self._mine)


def _shown(key: object) -> str:
    """The readable part of a flight's key."""
    return repr(key[1] if isinstance(key, tuple) else key)


FLIGHTS = Flights()
