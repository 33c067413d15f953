"""A region's entries with their leases: who may replace them, and what comes of it.

Everything above works with entries and keys; everything below with bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from holdover.regions import events
from holdover.regions.at_hand import Gate, Kept, Place, Seen, Stamps, Wish
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.in_process import InProcess
from holdover.regions.entries import Entries
from holdover.regions.envelope import Entry, fence_seen
from holdover.regions.errors import BackendError, UncacheableValue, ValueTooLarge
from holdover.regions.familiar import Familiar, Judged, Read
from holdover.regions.freshness import fresh_until
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import NOT_STORED, Committed, Found

Answer = Lease | Busy | Found | None
"""What comes of asking for a lease; None if the backend cannot say."""

_NOTHING_READ: Read = None, 0


class Tier(Entries):
    """The entries of one region in one backend, and their leases."""

    # For those who want a value, and not to change it: a near cache may answer.
    find = Entries.look
    find_multi = Entries.look_multi

    def forget(self, keys: Iterable[str] | None) -> None:
        """Keep nothing of *keys* in this process, or of all if None."""

    # -- what is at hand -------------------------------------------------------

    @cached_property
    def stamped(self) -> Place | None:
        """Where decorated functions may have values at hand; None: nowhere."""
        if self.sealing is not None or not isinstance(self.backend, InProcess):
            return None
        return self.backend.stamped(self.region)

    def close_with(self, gate: Gate) -> None:
        """Close *gate* when something is distrusted."""
        self._guard.gate = gate

    def keep_at_hand(
        self, key: str, found: Found, lifetime: Lifetime, stamps: Stamps, seen: Seen
    ) -> Kept | None:
        """Let *seen* have at hand what was *found*; None if it is gone.

        Args:
            key: The key.
            found: What was read, and is fresh.
            lifetime: How its age is judged.
            stamps: Those from before it was read.
            seen: Whose it is.
        """
        backend, entry = self.backend, found.entry
        if self._is_judged_anew or not isinstance(backend, InProcess):
            return None
        slot = backend.slot_of(key)
        until = fresh_until(entry, lifetime)
        at_hand = (entry, *stamps, seen.token, entry.created_at, until, entry.value)
        if slot is None or not slot.keep_at_hand(entry, at_hand):
            return None
        return Kept(slot, self.now)

    def make_familiar(
        self,
        key: str,
        found: Found,
        lifetime: Lifetime,
        gate_stamp: object,
        wish: Wish,
    ) -> None:
        """Have a fresh value read by `Familiar` the next time.

        Args:
            key: The key.
            found: What was read.
            lifetime: How its age is judged.
            gate_stamp: That of the gate, from before it was read.
            wish: Where it is remembered, and what was read if it was read so already.
        """
        sealing = self.sealing
        if self._is_judged_anew or sealing is None or not sealing.has_familiar:
            return
        if wish.read is None:
            read = self.backend.reader(key, self.region)
            reader = self._guard.calmed(read, _NOTHING_READ)
            familiar = Familiar(gate_stamp, reader, sealing.codec, self.now)
            wish.seen.make_familiar(wish.arguments, familiar)
            return
        known = wish.seen.familiar.get(wish.arguments)
        stored, tick = wish.read
        if known is None or known.gate is not gate_stamp:  # judged by other rules
            return
        payload, entry = sealing.familiar_payload(stored), found.entry
        if stored is not None and payload is not None:
            until = fresh_until(entry, lifetime)
            known.judge(Judged(stored, tick, entry.created_at, until, payload))

    @property
    def _is_judged_anew(self) -> bool:
        """Whether more than time and place decides at each read what may be served."""
        return bool(self._guard.undelivered.noted) or self.also_invalid is not None

    def close(self) -> None:
        """End what runs behind the callers' backs; it begins anew if need be."""

    def degraded_for(self) -> float:
        """Tell for how many seconds the backend was left alone, since it failed."""
        return self._guard.outage.seconds()

    def acquire(
        self,
        key: str,
        seen: Entry,
        lifetime: Lifetime,
        ttl: float,
        *,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> Answer:
        """Try to win the lease of *key*, of which *seen* is what the caller knows."""
        guard = self._guard
        try:
            if guard.undelivered:
                self._deliver_what_concerns(key)
            grant = guard.call(
                guard.writing,
                self.backend.acquire,
                key,
                self.region,
                ttl=ttl,
                seen=fence_seen(seen),
                queued=queued,
                overtaking=overtaking,
            )
            return self._answer(grant, key, lifetime)
        except BackendError:
            return None

    def acquire_multi(
        self,
        seen: Mapping[str, Entry],
        lifetime: Lifetime,
        ttl: float,
        *,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> list[Answer]:
        """Try to win several keys at once, as `acquire` does."""
        guard = self._guard
        try:
            for key in seen if guard.undelivered else ():
                self._deliver_what_concerns(key)
            grants = guard.call(
                guard.writing,
                self.backend.acquire_multi,
                {key: fence_seen(entry) for key, entry in seen.items()},
                self.region,
                ttl=ttl,
                queued=queued,
                overtaking=overtaking,
            )
            return [
                self._answer(grant, key, lifetime)
                for key, grant in zip(seen, grants, strict=True)
            ]
        except BackendError:
            return [None] * len(seen)

    def _answer(self, grant: Grant, key: str, lifetime: Lifetime) -> Answer:
        if isinstance(grant, Changed):
            return self._judge(grant.stored, grant.tick, key, lifetime)
        return grant

    def adopt(self, key: str, token: str, ttl: float) -> Lease | None:
        """Take over the lease that *token* proves; None if it is lost."""
        try:
            return self._guard.call(
                self._guard.writing,
                self.backend.adopt,
                key,
                self.region,
                token,
                ttl=ttl,
            )
        except BackendError:
            return None

    def commit(self, lease: Lease, entry: Entry, *, strict: bool = False) -> Committed:
        """Store what was created under *lease*, if nothing came in between.

        What cannot be stored ends the lease, and is told of.

        Raises:
            UncacheableValue: Only if *strict*; the codec cannot encode it.
            BackendError: Only if *strict*; the backend cannot be reached.
        """
        return self.commit_multi([(lease, entry)], strict=strict)[0]

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Entry]], *, strict: bool = False
    ) -> list[Committed]:
        """Store several, as `commit` does."""
        sealed = [self._sealed(lease, entry, strict=strict) for lease, entry in commits]
        ready = [one for one in sealed if one is not None]
        try:
            ticks = iter(self._commit(ready) if ready else ())
        except BackendError:
            for lease, _, _ in ready:
                self.release(lease)
            if strict:
                raise
            return [NOT_STORED] * len(commits)
        return [
            NOT_STORED if one is None else self._committed(lease, next(ticks))
            for (lease, _), one in zip(commits, sealed, strict=True)
        ]

    def _sealed(
        self, lease: Lease, entry: Entry, *, strict: bool
    ) -> tuple[Lease, Stored, float | None] | None:
        """Encode; None if that fails, and the lease is ended."""
        try:
            stored = self._seal(lease.key, entry)
            # Here, since a backend that met it among others would refuse those as well.
            self._refuse_too_large(stored)
        except (UncacheableValue, ValueTooLarge) as error:
            self.tell(events.Uncacheable, lease.key, str(error))
            self.release(lease)
            if strict:
                raise
            return None
        return lease, stored, self._ttl(entry)

    def _refuse_too_large(self, stored: Stored) -> None:
        most = self.backend.max_bytes
        if most is not None and isinstance(stored, bytes) and len(stored) > most:
            raise ValueTooLarge(f"{len(stored)} bytes are more than max_bytes={most}")

    def _commit(
        self, ready: Sequence[tuple[Lease, Stored, float | None]]
    ) -> Sequence[int | None]:
        guard, backend = self._guard, self.backend
        if len(ready) > 1:
            return guard.call(guard.writing, backend.commit_multi, ready, self.region)
        [(lease, stored, ttl)] = ready
        return [
            guard.call(
                guard.writing, backend.commit, lease, stored, self.region, ttl=ttl
            )
        ]

    def _committed(self, lease: Lease, tick: int | None) -> Committed:
        if tick is None:
            reason = "the key changed while its value was being created"
            self.tell(events.LeaseLost, lease.key, reason)
            return NOT_STORED
        unmoved = tick == lease.clock and not self._guard.undelivered
        return Committed(stored=True, for_everyone=unmoved)

    def release(self, lease: Lease) -> None:
        """End the lease without a value; if that fails, it lapses."""
        try:
            self._guard.call(self._guard.removing, self.backend.release, lease)
        except BackendError:
            return

    def back_off(self, lease: Lease, ttl: float, reason: str) -> None:
        """Have nobody create for *ttl* seconds who can serve an old value."""
        try:
            self._guard.call(
                self._guard.writing,
                self.backend.back_off,
                lease,
                ttl=ttl,
                reason=reason,
            )
        except BackendError:
            self.release(lease)
