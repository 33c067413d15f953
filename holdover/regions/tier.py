"""A region's entries in its backend: sealed, judged, guarded, and calm when it fails.

Everything above works with entries and keys; everything below with bytes. Here a
backend's failure becomes a miss and an event, and what could not be removed is
remembered until it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from holdover.regions import events
from holdover.regions.backends.base import Backend, Busy, Changed, Lease, Stored
from holdover.regions.breaker import Breaker
from holdover.regions.clocks import RegionClock
from holdover.regions.codecs import Codec
from holdover.regions.envelope import (
    ABSENT,
    FOREVER,
    Entry,
    Unreadable,
    fence_of,
    new_fence,
    open_sealed,
    seal,
)
from holdover.regions.errors import BackendError, ValueTooLarge
from holdover.regions.events import Listeners
from holdover.regions.freshness import Standing, assess
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import (
    MISSING,
    NOT_STORED,
    Committed,
    Delivery,
    Found,
)
from holdover.regions.timesource import TimeSource
from holdover.regions.undelivered import WHOLE_REGION, Undelivered

T = TypeVar("T")

UNKNOWN_TICK = 0  # older than every floor


class Tier:
    """The entries of one region in one backend.

    Args:
        backend: Where the entries are kept.
        region: Name of the region, and of its clock.
        codec: How values become bytes; None if the backend keeps objects.
        listeners: Whom to tell of failures.
        time_source: The clocks to go by.

    Attributes:
        also_invalid: Says of an entry's creation time whether the user's own strategy
            invalidates it; None without one.
        opens: Reads stored bytes of a key, or raises `Unreadable`.
    """

    def __init__(
        self,
        backend: Backend,
        region: str,
        codec: Codec | None,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self.backend = backend
        self.region = region
        self._codec = codec
        self._listeners = listeners
        self._now = time_source.wall
        self._clock = RegionClock(backend, region)
        self.also_invalid: Callable[[float], Standing] | None = None
        self.opens: Callable[[bytes, str, Codec], Entry] = open_sealed
        # Three, because a full disk fails every write, no read and no removal.
        self._reading = Breaker(time_source=time_source)
        self._writing = Breaker(time_source=time_source)
        self._removing = Breaker(time_source=time_source)
        self._undelivered = Undelivered()

    # -- reading ---------------------------------------------------------------

    def look(self, key: str, lifetime: Lifetime) -> Found:
        """Read an entry and judge it; a failing backend is a miss."""
        if self._undelivered and not self._deliver(key):
            return MISSING
        try:
            stored, tick = self._try(self._reading, self.backend.read, key, self.region)
            return (
                MISSING if stored is None else self._judge(stored, tick, key, lifetime)
            )
        except BackendError:
            return MISSING

    def _judge(self, stored: Stored, tick: int, key: str, lifetime: Lifetime) -> Found:
        entry = self._open(stored, key)
        standing = self._clock.standing(entry, tick)
        if self.also_invalid is not None and standing is not Standing.HARD:
            standing = self.also_invalid(entry.created_at)
        return Found(assess(entry, lifetime, self._now(), standing), entry)

    def _open(self, stored: Stored, key: str) -> Entry:
        if isinstance(stored, Entry):
            return stored
        if self._codec is None:
            raise BackendError("the backend keeps objects and returned bytes")
        try:
            return self.opens(stored, key, self._codec)
        except Unreadable as problem:
            self.tell(events.Unreadable, key, str(problem))
            # Its fence still says which bytes were seen, so that they can be replaced.
            return Entry(None, 0.0, ABSENT.kept_until, fence=fence_of(stored))

    # -- writing ---------------------------------------------------------------

    def tick(self) -> int:
        """Read the region clock for an entry that is about to be made."""
        try:
            return self._try(self._reading, self._clock.tick)
        except BackendError:
            return UNKNOWN_TICK

    def store(self, key: str, entry: Entry, *, strict: bool = False) -> Delivery:
        """Write unconditionally.

        Raises:
            UncacheableValue: The codec cannot encode the value.
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        stored, ttl = self._seal(key, entry), self._ttl(entry)

        def write() -> None:
            if entry.clock == UNKNOWN_TICK:  # nobody could ever trust it
                raise BackendError("the region clock could not be read")
            self.backend.write(key, stored, ttl=ttl)

        return self._deliver_or_remember(self._writing, key, write, strict=strict)

    def remove(self, key: str, *, strict: bool = False) -> Delivery:
        """Remove the value and end any lease.

        Raises:
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        return self._deliver_or_remember(
            self._removing, key, lambda: self.backend.remove(key), strict=strict
        )

    def invalidate(self, *, hard: bool, strict: bool = False) -> Delivery:
        """Invalidate the whole region, in one step whatever its size.

        Raises:
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        hard = hard or WHOLE_REGION in self._undelivered  # or that one would be lost
        return self._deliver_or_remember(
            self._removing,
            WHOLE_REGION,
            lambda: self._clock.advance(hard=hard),
            strict=strict,
        )

    def swap(self, key: str, seen: Entry, entry: Entry) -> bool:
        """Write *entry* only if the value is still the one *seen*.

        Raises:
            UncacheableValue: The codec cannot encode the value.
            BackendError: The backend could not do it.
        """
        stored, ttl = self._seal(key, entry), self._ttl(entry)
        return self._try(
            self._writing,
            self.backend.compare_and_set,
            key,
            stored,
            seen=_fence_seen(seen),
            ttl=ttl,
        )

    def entry(
        self,
        value: Any,
        lifetime: Lifetime,
        *,
        fence: int | None = None,
        clock: int,
        cost: float = 0.0,
        own_lifetime: bool = False,
    ) -> Entry:
        """Make an entry that begins to live now."""
        now = self._now()
        return Entry(
            value,
            created_at=now,
            kept_until=FOREVER if lifetime.ttl is None else now + lifetime.ttl,
            fence=new_fence() if fence is None else fence,
            clock=clock,
            cost=cost,
            lifetime=lifetime if own_lifetime else None,
        )

    def _seal(self, key: str, entry: Entry) -> Stored:
        return entry if self._codec is None else seal(entry, key, self._codec)

    def _ttl(self, entry: Entry) -> float | None:
        if entry.kept_until == FOREVER:
            return None
        return max(0.0, entry.kept_until - self._now())

    # -- leases ----------------------------------------------------------------

    def acquire(
        self,
        key: str,
        seen: Entry,
        lifetime: Lifetime,
        ttl: float,
        *,
        queued: bool = False,
    ) -> Lease | Busy | Found | None:
        """Try to win the lease; None if the backend cannot say."""
        if self._undelivered and not self._deliver(key):
            return None
        try:
            grant = self._try(
                self._writing,
                self.backend.acquire,
                key,
                self.region,
                ttl=ttl,
                seen=_fence_seen(seen),
                queued=queued,
            )
            if isinstance(grant, Changed):
                return self._judge(grant.stored, grant.tick, key, lifetime)
        except BackendError:
            return None
        return grant

    def adopt(self, key: str, token: str, ttl: float) -> Lease | None:
        """Take over the lease that *token* proves; None if it is lost."""
        try:
            return self._try(
                self._writing, self.backend.adopt, key, self.region, token, ttl=ttl
            )
        except BackendError:
            return None

    def commit(self, lease: Lease, entry: Entry) -> Committed:
        """Store what was created under *lease*, if nothing came in between."""
        try:
            stored, ttl = self._seal(lease.key, entry), self._ttl(entry)
            tick = self._try(
                self._writing, self.backend.commit, lease, stored, self.region, ttl=ttl
            )
        except BackendError:
            self.release(lease)
            return NOT_STORED
        if tick is None:
            reason = "the key changed while its value was being created"
            self.tell(events.LeaseLost, lease.key, reason)
            return NOT_STORED
        unmoved = tick == lease.clock and not self._undelivered
        return Committed(stored=True, for_everyone=unmoved)

    def release(self, lease: Lease) -> None:
        """End the lease without a value; if that fails, it lapses."""
        try:
            self._try(self._removing, self.backend.release, lease)
        except BackendError:
            return

    # -- a failing backend -----------------------------------------------------

    def _try(
        self, breaker: Breaker, operation: Callable[..., T], *args: Any, **kw: Any
    ) -> T:
        if not breaker.allows():
            raise BackendError("the backend has failed and is left alone for a while")
        try:
            result = operation(*args, **kw)
        except ValueTooLarge as error:
            self.tell(events.Uncacheable, "", str(error))
            raise
        except BackendError as error:
            breaker.failed()
            self.tell(events.BackendFailed, "", str(error))
            raise
        breaker.succeeded()
        return result

    def _deliver_or_remember(
        self,
        breaker: Breaker,
        key: str | None,
        operation: Callable[[], object],
        *,
        strict: bool,
    ) -> Delivery:
        begun = self._undelivered.moment()
        try:
            existed = self._try(breaker, operation)
        except ValueTooLarge:
            if strict:
                raise
            return Delivery()  # what was there before has been removed
        except BackendError:
            self._undelivered.remember(key)
            if strict:
                raise
            return Delivery(pending=True)
        self._undelivered.delivered(key, begun)
        return Delivery(existed=existed is True)

    def _deliver(self, key: str) -> bool:
        """Try again what concerns *key*; say whether what is stored may be trusted."""
        for one in self._undelivered.concerning(key):
            again = self.invalidate(hard=True) if one is None else self.remove(one)
            if again.pending:
                return False
        return True

    def tell(self, kind: type[events.Problem], key: str, reason: str) -> None:
        """Report a problem that no caller is told of."""
        self._listeners.tell(kind(region=self.region, key=key, reason=reason))


def _fence_seen(entry: Entry) -> int | None:
    return None if entry is ABSENT else entry.fence
