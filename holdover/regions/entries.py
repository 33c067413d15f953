"""A region's entries in its backend: sealed, judged, and calm when it fails.

Everything above works with entries and keys; everything below with bytes. Here a
backend's failure becomes a miss and an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdover.regions import events
from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Busy, Stored
from holdover.regions.decoding import Unreadable
from holdover.regions.envelope import (
    ABSENT,
    FOREVER,
    Entry,
    fence_of,
    fence_seen,
    new_fence,
)
from holdover.regions.errors import BackendError, ValueTooLarge
from holdover.regions.events import Listeners
from holdover.regions.familiar import Read
from holdover.regions.freshness import Freshness, Standing, assess
from holdover.regions.guard import NotTried
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import MISSING, Delivery, Found, together
from holdover.regions.removals import Removals
from holdover.regions.sealing import Sealing, Written
from holdover.regions.timesource import TimeSource
from holdover.regions.undelivered import Late

_SWAPS = 100  # tries against others who change the same key

UNKNOWN_TICK = 0  # older than every floor


class Entries(Removals):
    """The entries of one region in one backend.

    Args:
        backend: Where the entries are kept.
        region: Name of the region, and of its clock.
        sealing: How values become bytes; None if the backend keeps objects.
        listeners: Whom to tell of failures.
        time_source: The clocks to go by.

    Attributes:
        sealing: See above.
        now: Tells the time of day.
        also_invalid: Says of an entry's creation time whether the user's own strategy
            invalidates it; None without one.
    """

    def __init__(
        self,
        backend: Backend,
        region: str,
        sealing: Sealing | None,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        super().__init__(backend, region, listeners, time_source)
        self.sealing = sealing
        self.now = time_source.wall
        self.also_invalid: Callable[[float], Standing] | None = None
        self._late = self._guard.undelivered.late

    # -- reading ---------------------------------------------------------------

    def look(self, key: str, lifetime: Lifetime, *, strict: bool = False) -> Found:
        """Read an entry and judge it; a failing backend is a miss.

        Raises:
            BackendError: Only if *strict*.
        """
        guard = self._guard
        try:
            if guard.undelivered.noted:
                self._deliver_what_concerns(key)
            stored, tick = guard.call(
                guard.reading, self.backend.read, key, self.region
            )
            if stored is None:
                return MISSING
            return self._judge(stored, tick, key, lifetime)
        except BackendError:
            if strict:
                raise
            return MISSING

    def judge(self, read: Read, key: str, lifetime: Lifetime) -> Found:
        """Judge what has been read already, as `look` does."""
        stored, tick = read
        if stored is None:
            return MISSING
        if self._guard.undelivered.noted:  # since it was read
            return self.look(key, lifetime)
        try:
            return self._judge(stored, tick, key, lifetime)
        except BackendError:
            return MISSING

    def look_multi(
        self, keys: Sequence[str], lifetime: Lifetime, *, strict: bool = False
    ) -> list[Found]:
        """Read several entries at once and judge them, as `look` does."""
        guard = self._guard
        if guard.undelivered.noted:  # then each by itself: some may not be trusted
            return [self.look(key, lifetime, strict=strict) for key in keys]
        try:
            stored, tick = guard.call(
                guard.reading, self.backend.read_multi, keys, self.region
            )
            return [
                MISSING if one is None else self._judge(one, tick, key, lifetime)
                for key, one in zip(keys, stored, strict=True)
            ]
        except BackendError:
            if strict:
                raise
            return [MISSING] * len(keys)

    def leased(self, key: str) -> Busy | None:
        """Tell what keeps *key* from being created right now.

        Raises:
            BackendError: The backend cannot say.
        """
        return self._guard.call(self._guard.reading, self.backend.leased, key)

    def _judge(self, stored: Stored, tick: int, key: str, lifetime: Lifetime) -> Found:
        if self.sealing is None:
            entry = _plain(stored)
        else:
            try:
                entry = self.sealing.open(stored, key)
            except Unreadable as problem:
                self.tell(events.Unreadable, key, str(problem))
                # Its fence still says which bytes were seen, to be replaced.
                entry = replace(ABSENT, fence=fence_of(stored))
        if self._late and Late(key, entry.fence) in self._late:
            return Found(Freshness.GONE, entry)
        standing = self._clock.standing(entry, key, tick)
        if self.also_invalid is not None and standing is not Standing.HARD:
            standing = self.also_invalid(entry.created_at)
        return Found(assess(entry, lifetime, self.now(), standing), entry)

    # -- writing ---------------------------------------------------------------

    def tick(self) -> int:
        """Read the region clock for an entry that is about to be made."""
        try:
            return self._guard.call(self._guard.reading, self._clock.tick)
        except BackendError:
            return UNKNOWN_TICK

    def latest_tick(self) -> int:
        """Give the tick that was read last, for an entry that is stored by `begin`."""
        return self._clock.seen or self.tick()

    def store(self, key: str, entry: Entry, *, strict: bool = False) -> Delivery:
        """Write unconditionally.

        Raises:
            UncacheableValue: The codec cannot encode the value.
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        stored, ttl = self._seal(key, entry), self._ttl(entry)

        def write() -> None:
            _check_tick(entry)
            self.backend.write(key, stored, ttl=ttl)

        return self._written(key, entry, write, strict=strict)

    def begin(self, key: str, entry: Entry, *, strict: bool = False) -> Delivery:
        """Write unconditionally what begins to live now, whatever the tick is now.

        In one step, if that is still the entry's, which is `latest_tick`.

        Raises:
            UncacheableValue: The codec cannot encode the value.
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        stored = self._seal(key, entry)

        def write() -> None:
            self._write_at_tick(key, entry, stored)

        return self._written(key, entry, write, strict=strict)

    def _written(
        self, key: str, entry: Entry, write: Callable[[], None], *, strict: bool
    ) -> Delivery:
        guard = self._guard
        return guard.deliver(
            guard.writing,
            (key,),
            write,
            strict=strict,
            late=lambda: [Late(key, entry.fence)],
        )

    def _write_at_tick(self, key: str, entry: Entry, stored: Stored) -> None:
        for _ in range(_SWAPS):
            _check_tick(entry)
            tick = self.backend.write_at(
                key, stored, self.region, tick=entry.clock, ttl=self._ttl(entry)
            )
            self._clock.seen = tick
            if tick == entry.clock:
                return
            entry = replace(entry, clock=tick)
            stored = self._seal(key, entry)
        raise BackendError("the region clock kept moving")

    def store_multi(
        self, entries: Mapping[str, Entry], *, strict: bool = False
    ) -> Delivery:
        """Write several unconditionally, as `store` does; all are kept equally long."""
        if not entries:
            return Delivery()
        first = next(iter(entries.values()))
        sealed = {key: self._seal(key, entry) for key, entry in entries.items()}

        def write() -> None:
            _check_tick(first)
            self.backend.write_multi(sealed, ttl=self._ttl(first))

        def late() -> list[Late]:
            return [Late(key, entry.fence) for key, entry in entries.items()]

        try:
            return self._guard.deliver(
                self._guard.writing, list(entries), write, strict=True, late=late
            )
        except ValueTooLarge:  # one of them; so each for itself
            done = [self.store(k, e, strict=strict) for k, e in entries.items()]
            return together(done)
        except BackendError:
            if strict:
                raise
            return Delivery(pending=True)

    def expire(self, key: str, *, strict: bool = False) -> Delivery:
        """Have a value expire now; what began to be created earlier is not stored.

        Raises:
            BackendError: Only if *strict*; otherwise the value is as good as removed,
                and the result says ``pending``.
        """
        try:
            for _ in range(_SWAPS):
                found = self.look(key, Lifetime(), strict=True)
                if found.freshness is Freshness.GONE:
                    return self.remove(key, strict=strict)
                old = replace(found.entry, fence=new_fence(), expired=True)
                if self.swap(key, found.entry, old):
                    return Delivery(existed=True)
        except BackendError:
            if strict:
                raise
        return self.remove(key, strict=strict)

    def swap(self, key: str, seen: Entry, entry: Entry) -> bool:
        """Write *entry* only if the value is still the one *seen*.

        Raises:
            UncacheableValue: The codec cannot encode the value.
            BackendError: The backend could not do it.
        """
        _check_tick(entry)
        stored, ttl = self._seal(key, entry), self._ttl(entry)
        fence = fence_seen(seen)
        try:
            return self._guard.call(
                self._guard.writing,
                self.backend.compare_and_set,
                key,
                stored,
                seen=fence,
                ttl=ttl,
            )
        except NotTried:  # so that it cannot come late
            raise
        except BackendError:
            if fence is None:  # else it comes over what was seen, or not at all
                self._guard.distrust(Late(key, entry.fence))
            raise

    def entry(
        self,
        value: Any,
        lifetime: Lifetime,
        *,
        fence: int | None = None,
        clock: int,
        cost: float = 0.0,
        own_lifetime: bool = False,
        tags: tuple[str, ...] = (),
    ) -> Entry:
        """Make an entry that begins to live now."""
        now, ttl = self.now(), lifetime.ttl
        return Entry(
            value,
            created_at=now,
            kept_until=FOREVER if ttl is None else now + ttl,
            fence=new_fence() if fence is None else fence,
            clock=clock,
            cost=cost,
            lifetime=lifetime if own_lifetime else None,
            tags=tags,
        )

    def _seal(self, key: str, entry: Entry) -> Stored:
        return entry if self.sealing is None else self.sealing.seal(entry, key)

    def _ttl(self, entry: Entry) -> float | None:
        if entry.kept_until == FOREVER:
            return None
        return max(0.0, entry.kept_until - self.now())


def _plain(stored: Stored) -> Entry:
    """Give what a backend holds that keeps objects."""
    if isinstance(stored, Entry) and type(stored.value) is not Written:
        return stored
    raise BackendError("the backend keeps objects and returned bytes")


def _check_tick(entry: Entry) -> None:
    if entry.clock == UNKNOWN_TICK:  # nobody could ever trust it
        raise BackendError("the region clock could not be read")
