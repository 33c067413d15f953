"""Who runs which slot: claimed through a region's backend, once in the fleet.

A record per schedule says which slot was begun last, and is only ever replaced by
comparing. Beside it a lease says that somebody is at work: a record whose run has not
ended, and no lease, is that of a runner who died::

    A: takes the lease, replaces the record (slot 7, begun), runs ...
    B: sees slot 7 begun, finds the lease taken, looks again when it lapses
    A: ... replaces the record (slot 7, ended), releases the lease
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from holdover.regions.backends.grants import Busy, Lease
from holdover.regions.envelope import ABSENT, Entry
from holdover.regions.errors import BackendError
from holdover.regions.freshness import Freshness
from holdover.regions.leases import RENEWALS
from holdover.regions.lifetime import LeaseTerms, Lifetime
from holdover.regions.outcomes import Found
from holdover.regions.progress import Progress
from holdover.regions.tier import Tier

_KEPT = Lifetime(expiration_time=None)
_LEASE = ":lease"


@dataclass(slots=True)
class Claim:
    """The right to run one slot, in this process.

    Attributes:
        key: The schedule's.
        progress: The record that says so.
        lease: Says that somebody is at work.
        held: That record as it is stored.
    """

    key: str
    progress: Progress
    lease: Lease
    held: Entry


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store says of a schedule.

    Attributes:
        progress: How far it has come; None if nobody knows.
        found: The record as it is stored.
    """

    progress: Progress | None
    found: Found


class SlotBook:
    """The slots of one region's schedules.

    Args:
        tier: Where the records and leases are.
        terms: How long leases last.
    """

    def __init__(self, tier: Tier, terms: LeaseTerms) -> None:
        self._tier = tier
        self._terms = terms

    def look(self, key: str) -> Standing:
        """Look up how far a schedule has come.

        Raises:
            BackendError: The backend cannot be reached.
        """
        found = self._tier.look(key, _KEPT, strict=True)
        if found.freshness is Freshness.GONE:
            return Standing(None, found)
        return Standing(Progress.from_plain(found.entry.value), found)

    def busy_for(self, key: str) -> float:
        """Tell for how many seconds somebody is at work, at least; 0.0 if nobody is.

        Raises:
            BackendError: The backend cannot be reached.
        """
        busy = self._tier.leased(key + _LEASE)
        return 0.0 if busy is None else busy.expires_in

    def claim(
        self, key: str, standing: Standing, progress: Progress, *, queued: bool = False
    ) -> Claim | Busy | None:
        """Replace the record that was seen, if nobody is at work.

        Args:
            key: The schedule's.
            standing: What was seen.
            progress: The new record.
            queued: Whether the run waits in a queue for a worker, who is to `adopt`.

        Returns:
            The claim; who is at work; or None if somebody else was quicker.

        Raises:
            BackendError: The backend cannot be reached.
        """
        lease = self._acquire(key, queued=queued)
        if isinstance(lease, Busy):
            return lease
        held = self._tier.entry(progress.to_plain(), _KEPT, clock=lease.clock)
        try:
            if self._tier.swap(key, standing.found.entry, held):
                return Claim(key, progress, lease, held)
        except BackendError:
            self._tier.release(lease)
            raise
        self._tier.release(lease)
        return None

    def _acquire(self, key: str, *, queued: bool) -> Lease | Busy:
        ttl = self._terms.queue_ttl if queued else self._terms.ttl
        grant = self._tier.acquire(key + _LEASE, ABSENT, _KEPT, ttl, queued=queued)
        if isinstance(grant, Lease | Busy):
            return grant
        raise BackendError("no lease of a schedule is to be had")

    def adopt(self, key: str, token: str, slot_at: float) -> Claim | None:
        """Take over the claim that travelled with an order; None if it was overtaken.

        Args:
            key: The schedule's.
            token: The lease's.
            slot_at: The slot that was ordered.

        Raises:
            BackendError: The backend cannot be reached.
        """
        lease = self._tier.adopt(key + _LEASE, token, self._terms.ttl)
        if lease is None:
            return None
        standing = self.look(key)
        progress = standing.progress
        if progress is None or progress.has_ended or progress.slot_at != slot_at:
            self._tier.release(lease)
            return None
        return Claim(key, progress, lease, standing.found.entry)

    def holding(self, claim: Claim, max_hold: float) -> AbstractContextManager[None]:
        """Keep a claim alive during the block, at most *max_hold* seconds."""
        terms = LeaseTerms(ttl=claim.lease.ttl, max_hold=max_hold)
        return RENEWALS.holding(self._tier.backend, claim.lease, terms)

    def settle(self, claim: Claim, progress: Progress) -> None:
        """Replace the record by how it goes on, and let others have a look.

        Nothing is raised: what cannot be noted is taken, by others and in a while, for
        a runner's death.
        """
        entry = self._tier.entry(progress.to_plain(), _KEPT, clock=claim.held.clock)
        try:
            self._tier.swap(claim.key, claim.held, entry)
        except BackendError:
            return
        self._tier.release(claim.lease)
