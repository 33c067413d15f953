"""The near cache: what was read from a backend, kept in this process for a moment.

A read takes its time, and what it brings may be outdated before it arrives::

    reader                      writer
    begins
    reads the old value
                                stores the new one
                                drops the key here
    keeps the old value         (which nobody would drop any more)

So a fill is refused if its key was dropped since its read began. Keys share a few
hundred counters of that; a neighbour's drop costs one more read, never a wrong value.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from holdover.regions.forks import renew_after_fork
from holdover.regions.outcomes import Found
from holdover.regions.slots import Slot, Slots
from holdover.regions.timesource import TimeSource
from holdover.regions.values import frozen

_STRIPES = 256


@frozen
class NearTerms:
    """For how long values are kept near, and how many.

    Attributes:
        ttl: Seconds after the beginning of the read that brought a value.
        entries: How many are kept at most.
    """

    ttl: float
    entries: int


class _Shelf:
    """What is kept between two times that everything is dropped.

    A new one takes its place at once, whatever its size; reads that are under way fill
    the old one, where nobody looks.
    """

    __slots__ = ("drops", "slots")

    def __init__(self, slots: Slots[Found]) -> None:
        self.slots = slots
        self.drops = [0] * _STRIPES


@frozen
class Begun:
    """A read that has begun: how things stood right before.

    Attributes:
        shelf: Where its value may be put.
        drops: How often something like its key had been dropped.
        until: Until when its value may be served, by the steady clock.
    """

    shelf: _Shelf
    drops: int
    until: float


class NearCache:
    """Fresh values by key, each for so long after its read began.

    Args:
        terms: For how long, and how many.
        time_source: The clocks to go by.

    Attributes:
        now: The clock by which values are kept.
        stamp: The shelf that they are on now: another one when all were dropped.
    """

    stamp: _Shelf

    def __init__(self, terms: NearTerms, time_source: TimeSource) -> None:
        self._terms = terms
        self.now = time_source.steady
        self.dropped: Callable[[], object] = object  # called when all was
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin with nothing: who drops what in the parent drops nothing here."""
        self._lock = threading.Lock()  # guards changes of the shelf
        self.drop_all()

    def __len__(self) -> int:
        return len(self.stamp.slots)

    def slot_of(self, key: str) -> Slot[Found] | None:
        """Give the slot of *key*, if there is one."""
        return self.stamp.slots.by_key.get(key)

    def read(self, key: str) -> Found | None:
        """Give what may still be served for *key*."""
        slot = self.slot_of(key)
        # `until` before `held`, which a fill changes in the other order.
        if slot is None or self.now() >= slot.until:
            return None
        slot.used = True
        return slot.held

    # -- filling ---------------------------------------------------------------

    def begin(self, key: str) -> Begun:
        """Note how things stand, before *key* is read from the backend."""
        shelf = self.stamp
        return Begun(shelf, shelf.drops[_stripe(key)], self.now() + self._terms.ttl)

    def fill(self, key: str, found: Found, begun: Begun) -> bool:
        """Keep what a read has brought, unless its key was dropped since it began.

        Returns:
            Whether it was kept.
        """
        shelf = begun.shelf
        with self._lock:
            if shelf is not self.stamp or shelf.drops[_stripe(key)] != begun.drops:
                return False
            displaced = shelf.slots.put(key, found, begun.until)
        del displaced  # only here: a value's own end may call the region again
        return True

    # -- dropping --------------------------------------------------------------

    def drop(self, key: str) -> None:
        """Serve *key* no more, and refuse what is being read for it."""
        with self._lock:
            self.stamp.drops[_stripe(key)] += 1
            dropped = self.stamp.slots.pop(key)
        del dropped

    def drop_those(self, are_meant: Callable[[str], bool]) -> None:
        """Do as `drop` with those keys of which *are_meant* says so."""
        with self._lock:
            shelf = self.stamp
            shelf.drops = [count + 1 for count in shelf.drops]
            dropped = [
                shelf.slots.pop(key)
                for key in list(shelf.slots.by_key)
                if are_meant(key)
            ]
        del dropped

    def drop_all(self) -> None:
        """Do as `drop` with all keys, however many there are."""
        self.stamp = _Shelf(Slots(self._terms.entries, self.now))
        self.dropped()


def _stripe(key: str) -> int:
    return hash(key) % _STRIPES
