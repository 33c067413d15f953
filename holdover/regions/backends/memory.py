"""`holdover.memory`: entries in a dictionary of this process.

Bounded: when full, the CLOCK algorithm evicts an entry that nobody has read since its
hand last came by. Reading takes no lock.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from holdover.regions.at_hand import Place
from holdover.regions.backends.base import Backend, positive
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.in_process import InProcess
from holdover.regions.envelope import fence_of, new_fence
from holdover.regions.forks import renew_after_fork
from holdover.regions.slots import Slot, Slots
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import SYSTEM_TIME, TimeSource
from holdover.regions.values import slotted

DEFAULT_MAX_ENTRIES = 10_000
_NO_BOUND = 1 << 62
_AT_ONCE = 1000  # entries that a purge looks at: 0.1 ms


@slotted
class _Holding:
    """A lease as the backend keeps it: there until committed, released or removed."""

    token: str
    fence: int
    lapses_at: float
    kind: LeaseKind
    reason: str = ""


class _Clock:
    """A region's clock, whose every state is a stamp of what is at hand.

    Attributes:
        stamp: The state.
    """

    __slots__ = ("stamp",)

    def __init__(self, state: ClockState) -> None:
        self.stamp = state


class MemoryBackend(Backend, InProcess):
    """Entries in this process's memory.

    Arguments:
        max_entries: How many entries are kept at most (default 10,000).
        time_source: The clocks to go by; for tests.
    """

    capabilities = Capabilities(
        shared_by="process",
        durable=False,
        keeps_objects=True,
        bounded_by=("max_entries",),
        may_lose=("eviction", "restart"),
    )
    known_arguments = MappingProxyType({"max_entries": int, "time_source": TimeSource})

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self._max_entries = positive(arguments, "max_entries", DEFAULT_MAX_ENTRIES)
        self._time = arguments.get("time_source", SYSTEM_TIME)
        self._slots: Slots[Stored] = Slots(self._max_entries, self._time.wall)
        self._by_key = self._slots.by_key  # for readers, who need no lock
        self._leases: dict[str, _Holding] = {}
        self._clocks: dict[str, _Clock] = {}
        self._lasting: MemoryBackend | None = None
        self._lock = threading.Lock()  # guards changes of all of them
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's leases: their holders are not in this process."""
        self._lock = threading.Lock()
        self._leases = {}

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        tick = (self._clocks.get(region) or self._clock(region)).stamp.tick
        slot = self._by_key.get(key)
        if slot is None:
            return None, tick
        slot.used = True
        return slot.held, tick

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        with self._lock:
            self._leases.pop(key, None)
            dropped = self._put(key, stored, ttl)
        del dropped  # only here: a value's own end may call the region again

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        with self._lock:
            self._leases.pop(key, None)
            removed = self._slots.pop(key)
        return removed is not None

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        with self._lock:
            if self._fence(key) != seen:
                return False
            self._leases.pop(key, None)
            dropped = self._put(key, stored, ttl)
        del dropped
        return True

    # -- leases ----------------------------------------------------------------

    def acquire(
        self,
        key: str,
        region: str,
        *,
        ttl: float,
        seen: int | None,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> Grant:
        """See `Backend.acquire`."""
        tick = self.clock(region).tick
        now = self._time.steady()
        with self._lock:
            stored = self._stored(key)
            if stored is not None and fence_of(stored) != seen:
                return Changed(stored, tick)
            busy = self._busy(key, now)
            if busy is not None and busy.kind not in overtaking:
                return busy
            kind = LeaseKind.QUEUED if queued else LeaseKind.HELD
            if len(self._leases) >= self._max_entries:
                self._forget_lapsed(now)
            holding = _Holding(secrets.token_hex(16), new_fence(), now + ttl, kind)
            self._leases[key] = holding
        return _lease(key, holding, tick, ttl)

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        with self._lock:
            held = self._leases.get(lease.key)
            if held is None or held.token != lease.token:
                return False
            held.lapses_at = self._time.steady() + ttl
            return True

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        tick = self.clock(region).tick
        with self._lock:
            held = self._leases.get(key)
            if held is None or held.token != token:
                return None
            held.token = secrets.token_hex(16)
            held.kind = LeaseKind.HELD
            held.lapses_at = self._time.steady() + ttl
            return _lease(key, held, tick, ttl)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        with self._lock:
            held = self._leases.get(lease.key)
            if held is None or held.fence != lease.fence:
                return None
            del self._leases[lease.key]
            dropped = self._put(lease.key, stored, ttl)
        del dropped
        return self.clock(region).tick

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        with self._lock:
            held = self._leases.get(lease.key)
            if held is None or held.token != lease.token:
                return False
            del self._leases[lease.key]
            return True

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        with self._lock:
            held = self._leases.get(lease.key)
            if held is None or held.token != lease.token:
                return False
            held.token = secrets.token_hex(16)  # which nobody knows
            held.fence = 0
            held.kind, held.reason = LeaseKind.BACKING_OFF, reason
            held.lapses_at = self._time.steady() + ttl
            return True

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        return self._busy(key, self._time.steady())

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return self._clock(region).stamp

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        clock = self._clock(region)
        with self._lock:
            now = self._time.wall()
            clock.stamp = clock.stamp.advanced(now, hard=hard, reaches=reaches)
            return clock.stamp

    def _clock(self, region: str) -> _Clock:
        clock = self._clocks.get(region)
        if clock is None:
            fresh = _Clock(ClockState.seeded(self._time.wall()))
            clock = self._clocks.setdefault(region, fresh)
        return clock

    # -- what is at hand -------------------------------------------------------

    def stamped(self, region: str) -> Place | None:
        """See `InProcess.stamped`."""
        reads_otherwise = type(self).read is not MemoryBackend.read
        return None if reads_otherwise else self._clock(region)

    def slot_of(self, key: str) -> Slot[Stored] | None:
        """See `InProcess.slot_of`."""
        return self._by_key.get(key)

    # -- housekeeping ----------------------------------------------------------

    def lasting(self) -> Backend:
        """See `Backend.lasting`. As lasting as the process, and out of its way."""
        with self._lock:
            if self._lasting is None:
                kept = {"max_entries": _NO_BOUND, "time_source": self._time}
                self._lasting = MemoryBackend(kept)
            return self._lasting

    def purge(self) -> int:
        """See `Backend.purge`. Lapsed leases that nobody came back for go too.

        In small steps, between which others get the lock and the processor.
        """
        purged = 0
        slots = list(self._by_key.values())
        for start in range(0, len(slots), _AT_ONCE):
            now, some = self._time.wall(), slots[start : start + _AT_ONCE]
            purged += self._drop([slot for slot in some if slot.until <= now])
            time.sleep(0)
        with self._lock:
            self._forget_lapsed(self._time.steady())
        return purged

    def _drop(self, expired: Sequence[Slot[Stored]]) -> int:
        with self._lock:
            now = self._time.wall()  # it may have been set back since
            dropped = [
                self._slots.pop(slot.key)
                for slot in expired
                if self._by_key.get(slot.key) is slot and slot.until <= now
            ]
        return len(dropped)

    def __len__(self) -> int:
        return len(self._slots)

    # -- under the lock --------------------------------------------------------

    def _busy(self, key: str, now: float) -> Busy | None:
        held = self._leases.get(key)
        if held is None or held.lapses_at <= now:
            return None
        return Busy(held.lapses_at - now, held.kind, held.reason)

    def _forget_lapsed(self, now: float) -> None:
        lapsed = [key for key, held in self._leases.items() if held.lapses_at <= now]
        for key in lapsed:
            del self._leases[key]

    def _stored(self, key: str) -> Stored | None:
        slot = self._by_key.get(key)
        return None if slot is None else slot.held

    def _fence(self, key: str) -> int | None:
        stored = self._stored(key)
        return None if stored is None else fence_of(stored)

    def _put(self, key: str, stored: Stored, ttl: float | None) -> list[object]:
        """Store; give what was displaced, to be let go without the lock."""
        expires_at = math.inf if ttl is None else self._time.wall() + ttl
        return self._slots.put(key, stored, expires_at)


def _lease(key: str, held: _Holding, tick: int, ttl: float) -> Lease:
    return Lease(key=key, token=held.token, fence=held.fence, clock=tick, ttl=ttl)
