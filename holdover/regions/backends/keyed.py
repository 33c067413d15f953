"""`KeyedBackend`: entries in a key-value store of somebody else's, such as Django's.

All it needs is ``get_many``, ``set``, ``add`` and ``delete``. Only ``add`` is atomic
there, so whatever must happen once goes by it: each lease's token has a *mark*, and
whoever adds that has the say about the lease.

What that leaves open: a commit that an invalidation overtakes takes its value back, and
for as long as these two steps take the store has had the old one.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dogpile.cache.api import DefaultSerialization

from holdover.regions.backends.base import Backend, translated
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.host_records import clock_packed, clock_unpacked
from holdover.regions.backends.keyed_records import (
    Record,
    Store,
    bytes_of,
    clock_name,
    lease_name,
    mark_name,
    timeout_of,
    value_name,
)
from holdover.regions.backends.sending import accepted_bytes
from holdover.regions.envelope import fence_of, new_fence
from holdover.regions.errors import BackendError, ConfigurationError
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import SYSTEM_TIME, TimeSource

_MARKS_LAST = 600  # seconds: longer than any lease is held
_ADVANCES = 200  # tries against others who advance the same clock
_PAUSE = 0.005


class KeyedBackend(DefaultSerialization, Backend):
    """Entries in a store that knows no more than get, set, add and delete.

    A stampede makes one value and a lost lease stores none, as everywhere. Weaker than
    elsewhere: a commit that an invalidation overtakes takes its value back, and for as
    long as these two steps take the store has had the old one. If a write has overtaken
    it, in that very moment, what was written may be gone with it: a miss.

    Arguments:
        store: The store (required).
        shared_by: Who sees its entries: "process", "host" or "fleet" (default).
        time_source: The clocks to go by; for tests.
    """

    capabilities = Capabilities(
        shared_by="fleet",
        durable=False,
        keeps_objects=False,
        bounded_by=("store",),
        expires_by_itself=True,
        may_lose=("eviction", "restart"),
    )
    known_arguments = MappingProxyType(
        {"store": object, "shared_by": str, "time_source": TimeSource}
    )

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        if "store" not in arguments:
            raise ConfigurationError("KeyedBackend needs the argument 'store'")
        self._store: Store = arguments["store"]
        self._time = arguments.get("time_source", SYSTEM_TIME)
        shared_by = arguments.get("shared_by", "fleet")
        self.capabilities = replace(self.capabilities, shared_by=shared_by)

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        [stored], tick = self.read_multi([key], region)
        return stored, tick

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        with _asking("reading"):
            names = [value_name(key) for key in keys]
            found = self._store.get_many([*names, clock_name(region)])
            state = clock_unpacked(found.get(clock_name(region)))
            stored: list[Stored | None] = [bytes_of(found.get(name)) for name in names]
        return stored, self.clock(region).tick if state is None else state.tick

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        data = accepted_bytes(self, stored, sys.maxsize)
        with _asking("writing"):
            self._end_lease(key)
            self._store.set(value_name(key), data, timeout_of(ttl))

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        with _asking("removing"):
            self._end_lease(key)
            return bool(self._store.delete(value_name(key)))

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        data = accepted_bytes(self, stored, sys.maxsize)
        with _asking("writing"):
            there = self._stored(key)
            if (None if there is None else fence_of(there)) != seen:
                return False
            if seen is None and there is None:
                done = bool(self._store.add(value_name(key), data, timeout_of(ttl)))
            else:
                done = self._mark(f"{key}:{seen}")
                if done:
                    self._store.set(value_name(key), data, timeout_of(ttl))
            if done:
                self._end_lease(key)
            return done

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
        with _asking("acquiring a lease"):
            stored, held = self._both(key)
            if stored is not None and fence_of(stored) not in (None, seen):
                return Changed(stored, tick)
            busy = None if held is None else held.busy(self._time.wall())
            if busy is not None and busy.kind not in overtaking:
                return busy
            kind = LeaseKind.QUEUED if queued else LeaseKind.HELD
            record = self._new_record(new_fence(), ttl, kind)
            if not self._put_lease(key, held, record, ttl):
                return self._busy(key) or Busy(_PAUSE)
            stored = self._stored(key)  # promise 3: look again
            if stored is not None and fence_of(stored) not in (None, seen):
                self._end_lease(key, record)
                return Changed(stored, tick)
            return record.lease(key, tick, ttl)

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        with _asking("renewing a lease"):
            held = self._held_by(lease.key, lease.token)
            if held is None:
                return False
            until = self._time.wall() + ttl
            data = replace(held, until=until).packed()
            self._store.set(lease_name(lease.key), data, timeout_of(ttl))
            if self._is_marked(lease.token):  # it was ended between these steps
                self._store.delete(lease_name(lease.key))
                return False
            return True

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        tick = self.clock(region).tick
        with _asking("adopting a lease"):
            held = self._held_by(key, token)
            if held is None:
                return None
            record = self._new_record(held.fence, ttl, LeaseKind.HELD)
            adopted = self._put_lease(key, held, record, ttl)
            return record.lease(key, tick, ttl) if adopted else None

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        data = accepted_bytes(self, stored, sys.maxsize)
        with _asking("committing"):
            if self._held_by(lease.key, lease.token) is None:
                return None
            self._store.set(value_name(lease.key), data, timeout_of(ttl))
            if not self._mark(lease.token):
                if self._stored(lease.key) == data:
                    self._store.delete(value_name(lease.key))
                return None
            self._store.delete(lease_name(lease.key))
        return self.clock(region).tick

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        with _asking("releasing a lease"):
            held = self._held_by(lease.key, lease.token)
            return held is not None and self._end_lease(lease.key, held)

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        with _asking("ending a lease"):
            held = self._held_by(lease.key, lease.token)
            if held is None:
                return False
            pause = self._new_record(0, ttl, LeaseKind.BACKING_OFF)
            pause = replace(pause, reason=reason[:200])
            return self._put_lease(lease.key, held, pause, ttl)

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        with _asking("reading a lease"):
            return self._busy(key)

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        name = clock_name(region)
        with _asking("the region clock"):
            state = clock_unpacked(self._store.get_many([name]).get(name))
            if state is not None:
                return state
            seeded = ClockState.seeded(self._time.wall())
            if not self._store.add(name, clock_packed(seeded), None):
                there = clock_unpacked(self._store.get_many([name]).get(name))
                if there is not None:
                    return there
                self._store.set(name, clock_packed(seeded), None)  # it was damaged
            return seeded

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        for _ in range(_ADVANCES):
            state = self.clock(region)
            after = state.advanced(self._time.wall(), hard=hard, reaches=reaches)
            with _asking("the region clock"):
                if self._mark(f"{region}:{state.tick}"):
                    self._store.set(clock_name(region), clock_packed(after), None)
                    return after
            SYSTEM_TIME.sleep(_PAUSE)
        raise BackendError(f"the clock of region {region!r} kept changing")

    def purge(self) -> int:
        """See `Backend.purge`: the store does it."""
        return 0

    # -- steps -----------------------------------------------------------------

    def _stored(self, key: str) -> bytes | None:
        return bytes_of(self._store.get_many([value_name(key)]).get(value_name(key)))

    def _both(self, key: str) -> tuple[bytes | None, Record | None]:
        found = self._store.get_many([value_name(key), lease_name(key)])
        record = Record.unpacked(found.get(lease_name(key)))
        return bytes_of(found.get(value_name(key))), record

    def _record(self, key: str) -> Record | None:
        return Record.unpacked(
            self._store.get_many([lease_name(key)]).get(lease_name(key))
        )

    def _held_by(self, key: str, token: str) -> Record | None:
        held = self._record(key)
        if held is None or held.token != token or self._is_marked(token):
            return None
        return held

    def _busy(self, key: str) -> Busy | None:
        held = self._record(key)
        return None if held is None else held.busy(self._time.wall())

    def _new_record(self, fence: int, ttl: float, kind: LeaseKind) -> Record:
        until = self._time.wall() + ttl
        return Record(
            token=secrets.token_hex(16), fence=fence, until=until, kind=kind.value
        )

    def _put_lease(
        self, key: str, held: Record | None, record: Record, ttl: float
    ) -> bool:
        """Put a record in the place of the one that was seen; False if others did."""
        data = record.packed()
        if held is None:
            return bool(self._store.add(lease_name(key), data, timeout_of(ttl)))
        if not self._mark(held.token):
            return False
        self._store.set(lease_name(key), data, timeout_of(ttl))
        return True

    def _end_lease(self, key: str, held: Record | None = None) -> bool:
        held = held or self._record(key)
        if held is None:
            return False
        ended = self._mark(held.token)
        self._store.delete(lease_name(key))
        return ended

    def _mark(self, what: str) -> bool:
        """Have the say about *what*; False if somebody else has."""
        return bool(self._store.add(mark_name(what), b"1", _MARKS_LAST))

    def _is_marked(self, what: str) -> bool:
        return bool(self._store.get_many([mark_name(what)]))


@contextmanager
def _asking(doing: str) -> Iterator[None]:
    # Each store has errors of its own.
    with translated(doing, Exception):
        yield
