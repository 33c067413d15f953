"""Single flight: one thread per process and key goes; the others get what it brings."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from holdover.regions.errors import RecursiveCreation
from holdover.regions.forks import renew_after_fork

EVERYONE = math.inf

_tickets = itertools.count(1)


def ticket() -> int:
    """Draw a number that is higher than all drawn before, in this process."""
    return next(_tickets)


@dataclass(frozen=True, slots=True)
class Landed:
    """What a flight brought.

    Attributes:
        value: The value, if there is one for the caller.
        error: The creator's own exception, shared by all who took part.
        valid_before: The value is for calls that had drawn their ticket before this
            one. Whoever asked later may know of an invalidation that the value does
            not, and looks again.
    """

    value: Any = None
    error: Exception | None = None
    valid_before: float = EVERYONE


NOTHING = Landed(valid_before=0)  # everyone looks again


class Flight:
    """One thread's errand for one key, and those who wait for it."""

    __slots__ = ("_done", "landed", "owner")

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self.landed = NOTHING  # written once, before the event is set
        self._done = threading.Event()

    @property
    def has_landed(self) -> bool:
        """Whether the errand is over."""
        return self._done.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; say whether the flight has landed."""
        return self._done.wait(timeout)

    def land(self, landed: Landed) -> None:
        """Hand over what was brought and wake everyone."""
        self.landed = landed
        self._done.set()


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

    def join(self, key: object) -> tuple[Flight, bool]:
        """Join the flight for *key*, or start one.

        Returns:
            The flight, and whether the caller owns it: he does the work, and must
            close and land it.

        Raises:
            RecursiveCreation: The calling thread itself owns that flight.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Flight()
                return flight, True
            if flight.owner == threading.get_ident():
                raise RecursiveCreation(
                    f"the creator of {_shown(key)} asked for that same key: it would "
                    "wait for itself"
                )
            return flight, False

    def lead(self, key: object) -> Flight | None:
        """Start a flight for *key*; None if one is under way."""
        with self._lock:
            if key in self._flights:
                return None
            flight = self._flights[key] = Flight()
            return flight

    def close(self, key: object, flight: Flight) -> None:
        """Take in nobody any more. Closing twice does no harm."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    @contextmanager
    def flying(self, key: object, flight: Flight) -> Iterator[None]:
        """End *flight* after the block, whatever happens, and wake who still waits."""
        try:
            yield
        finally:
            self.close(key, flight)
            if not flight.has_landed:
                flight.land(NOTHING)

    def wait(self, flight: Flight, timeout: float) -> bool:
        """Wait for *flight*; False if it did not land in time, or never could.

        It never could if its owner waits, over any number of hands, for a flight of
        the calling thread.
        """
        me = threading.get_ident()
        with self._lock:
            if self._leads_back_to(me, flight):
                return False
            self._waiting[me] = flight
        try:
            return flight.wait(timeout)
        finally:
            with self._lock:
                self._waiting.pop(me, None)

    def _leads_back_to(self, thread: int, flight: Flight) -> bool:
        following: Flight | None = flight
        while following is not None and not following.has_landed:
            if following.owner == thread:
                return True
            following = self._waiting.get(following.owner)
        return False


def _shown(key: object) -> str:
    """The readable part of a flight's key."""
    return repr(key[1] if isinstance(key, tuple) else key)


FLIGHTS = Flights()
