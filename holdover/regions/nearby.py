"""A tier with a near cache: the backend is not asked for what was read a moment ago.

Only what is fresh is served from it, and only to those who ask for a value. Whoever is
about to change something looks at the backend itself, and whatever this process changes
is dropped here before the call returns, also if the backend could not be reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from holdover.regions import events
from holdover.regions.at_hand import Gate, Kept, Place, Seen, Stamps
from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Changed, Grant, Lease
from holdover.regions.backends.pushing import Pushing
from holdover.regions.envelope import Entry
from holdover.regions.events import Listeners
from holdover.regions.freshness import Freshness, Standing, assess, fresh_until
from holdover.regions.keys import shared_beginning
from holdover.regions.lifetime import Lifetime
from holdover.regions.near import Begun, NearCache, NearTerms
from holdover.regions.outcomes import Committed, Delivery, Found
from holdover.regions.sealing import Sealing
from holdover.regions.ticks import Reach
from holdover.regions.tier import Answer, Tier
from holdover.regions.timesource import TimeSource
from holdover.regions.watching import Watch

_FRESH = Freshness.FRESH


class NearTier(Tier):
    """The entries of one region, the latest of which are kept in this process.

    Args:
        backend: Where the entries are kept.
        region: Name of the region, and of its clock.
        sealing: How values become bytes.
        listeners: Whom to tell of failures.
        time_source: The clocks to go by.
        near: How long values are kept here, and how many.
        prefix: What all keys begin with.
    """

    def __init__(
        self,
        backend: Backend,
        region: str,
        sealing: Sealing | None,
        listeners: Listeners,
        time_source: TimeSource,
        *,
        near: NearTerms,
        prefix: str,
    ) -> None:
        super().__init__(backend, region, sealing, listeners, time_source)
        self.near = NearCache(near, time_source)
        self._watch: Watch | None = None
        if isinstance(backend, Pushing) and backend.capabilities.pushes:
            self._watch = Watch(
                backend,
                region,
                shared_beginning(prefix),
                near=self.near,
                tell_lost=self._tell_lost,
            )

    def close_with(self, gate: Gate) -> None:
        """See `Tier.close_with`. What is dropped is to be let go as well."""
        super().close_with(gate)
        self.near.dropped = gate.forget

    def _tell_lost(self, reason: str) -> None:
        self.tell(events.PushLost, "", reason)

    def close(self) -> None:
        """See `Tier.close`."""
        if self._watch is not None:
            self._watch.stop()

    # -- what is at hand -------------------------------------------------------

    @property
    def stamped(self) -> Place | None:
        """See `Tier.stamped`."""
        return self.near

    def keep_at_hand(
        self, key: str, found: Found, lifetime: Lifetime, stamps: Stamps, seen: Seen
    ) -> Kept | None:
        """See `Tier.keep_at_hand`.

        By the steady clock alone: whoever sets the other one changes what is served
        for ``near_ttl`` at most.
        """
        now = self.near.now()  # before the other clock is read: no wait adds to a life
        slot = self.near.slot_of(key)
        if slot is None or not found.near or self._is_judged_anew:
            return None
        entry = found.entry
        until = min(slot.until, now + fresh_until(entry, lifetime) - self.now())
        at_hand = (found, *stamps, seen.token, -math.inf, until, entry.value)
        return Kept(slot, self.near.now) if slot.keep_at_hand(found, at_hand) else None

    # -- reading ---------------------------------------------------------------

    def find(self, key: str, lifetime: Lifetime, *, strict: bool = False) -> Found:
        """See `Entries.find`."""
        if strict:
            return self.look(key, lifetime, strict=True)
        found = self._near(key, lifetime)
        if found is not None:
            return found
        begun = self.near.begin(key)
        found = self.look(key, lifetime)
        self._keep(key, found, begun)
        return found

    def find_multi(
        self, keys: Sequence[str], lifetime: Lifetime, *, strict: bool = False
    ) -> list[Found]:
        """See `Entries.find_multi`."""
        if strict:
            return self.look_multi(keys, lifetime, strict=True)
        founds: dict[str, Found] = {}
        begun: dict[str, Begun] = {}
        for key in keys:
            found = self._near(key, lifetime)
            if found is None:
                begun[key] = self.near.begin(key)
            else:
                founds[key] = found
        looked = self.look_multi(list(begun), lifetime) if begun else []
        for (key, at), found in zip(begun.items(), looked, strict=True):
            self._keep(key, found, at)
            founds[key] = found
        return [founds[key] for key in keys]

    def _near(self, key: str, lifetime: Lifetime) -> Found | None:
        """Give what is kept here, if it is fresh for this caller."""
        found = self.near.read(key)
        if found is None:
            return None
        standing = Standing.CURRENT
        if self.also_invalid is not None:
            standing = self.also_invalid(found.entry.created_at)
        is_fresh = assess(found.entry, lifetime, self.now(), standing) is _FRESH
        return found if is_fresh else None

    def _keep(self, key: str, found: Found, begun: Begun) -> None:
        # What may have to be removed soon is looked at every time.
        if found.freshness is _FRESH and not self._is_distrusted(key):
            self.near.fill(key, Found(_FRESH, found.entry, near=True), begun)
            if self._watch is not None:
                self._watch.start()

    def _is_distrusted(self, key: str) -> bool:
        undelivered = self._guard.undelivered
        return bool(undelivered) and bool(undelivered.concerning(key))

    def _answer(self, grant: Grant, key: str, lifetime: Lifetime) -> Answer:
        if isinstance(grant, Changed):  # so what is here may be older
            self.near.drop(key)
        return super()._answer(grant, key, lifetime)

    # -- writing ---------------------------------------------------------------

    def store(self, key: str, entry: Entry, *, strict: bool = False) -> Delivery:
        """See `Entries.store`."""
        with self._dropping([key]):
            return super().store(key, entry, strict=strict)

    def begin(self, key: str, entry: Entry, *, strict: bool = False) -> Delivery:
        """See `Entries.begin`."""
        with self._dropping([key]):
            return super().begin(key, entry, strict=strict)

    def store_multi(
        self, entries: Mapping[str, Entry], *, strict: bool = False
    ) -> Delivery:
        """See `Entries.store_multi`."""
        with self._dropping(entries):
            return super().store_multi(entries, strict=strict)

    def swap(self, key: str, seen: Entry, entry: Entry) -> bool:
        """See `Entries.swap`."""
        with self._dropping([key]):
            return super().swap(key, seen, entry)

    def remove_multi(self, keys: Sequence[str], *, strict: bool = False) -> Delivery:
        """See `Entries.remove_multi`."""
        with self._dropping(keys):
            return super().remove_multi(keys, strict=strict)

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Entry]], *, strict: bool = False
    ) -> list[Committed]:
        """See `Tier.commit_multi`.

        The next read brings the value, as the codec leaves it.
        """
        with self._dropping([lease.key for lease, _ in commits]):
            return super().commit_multi(commits, strict=strict)

    def invalidate(
        self, *, hard: bool, reaches: Sequence[Reach] = (), strict: bool = False
    ) -> Delivery:
        """See `Entries.invalidate`."""
        try:
            return super().invalidate(hard=hard, reaches=reaches, strict=strict)
        finally:
            self.near.drop_all()

    def forget(self, keys: Iterable[str] | None) -> None:
        """See `Tier.forget`."""
        if keys is None:
            self.near.drop_all()
            return
        for key in keys:
            self.near.drop(key)

    @contextmanager
    def _dropping(self, keys: Iterable[str]) -> Iterator[None]:
        """Drop *keys* after the backend was told: what is read before that is old."""
        try:
            yield
        finally:
            self.forget(keys)
