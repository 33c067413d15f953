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
from holdover.regions.leases import RENEWALS
from holdover.regions.lifetime import LeaseTerms
from holdover.regions.progress import Progress
from holdover.regions.shared_records import KEPT, Seen, SharedRecords
from holdover.regions.tier import Tier

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


class SlotBook:
    """The slots of one region's schedules.

    Args:
        tier: Where the records and leases are.
        terms: How long leases last.
    """

    def __init__(self, tier: Tier, terms: LeaseTerms) -> None:
        self._tier = tier
        self._terms = terms
        self._records = SharedRecords(
            tier, Progress.from_dict, Progress.as_dict, "record of a schedule"
        )

    def look(self, key: str) -> Seen[Progress]:
        """Look up how far a schedule has come.

        Raises:
            BackendError: The backend cannot be reached.
        """
        return self._records.look(key)

    def busy_for(self, key: str) -> float:
        """Tell for how many seconds somebody is at work, at least; 0.0 if nobody is.

        Raises:
            BackendError: The backend cannot be reached.
        """
        busy = self._tier.leased(key + _LEASE)
        return 0.0 if busy is None else busy.expires_in

    def claim(
        self,
        key: str,
        seen: Seen[Progress],
        progress: Progress,
        *,
        queued: bool = False,
    ) -> Claim | Busy | None:
        """Replace the record that was seen, if nobody is at work.

        Args:
            key: The schedule's.
            seen: The record that was seen.
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
        try:
            held = self._records.replace(key, seen.entry, progress, clock=lease.clock)
        except BackendError:
            self._tier.release(lease)
            raise
        if held is None:
            self._tier.release(lease)
            return None
        return Claim(key, progress, lease, held)

    def _acquire(self, key: str, *, queued: bool) -> Lease | Busy:
        ttl = self._terms.queue_ttl if queued else self._terms.ttl
        grant = self._tier.acquire(key + _LEASE, ABSENT, KEPT, ttl, queued=queued)
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
        seen = self.look(key)
        progress = seen.value
        if progress is None or progress.has_ended or progress.slot_at != slot_at:
            self._tier.release(lease)
            return None
        return Claim(key, progress, lease, seen.entry)

    def holding(self, claim: Claim, max_hold: float) -> AbstractContextManager[None]:
        """Keep a claim alive during the block, at most *max_hold* seconds."""
        terms = LeaseTerms(ttl=claim.lease.ttl, max_hold=max_hold)
        return RENEWALS.holding(self._tier.backend, claim.lease, terms)

    def settle(self, claim: Claim, progress: Progress) -> None:
        """Replace the record by how it goes on, and let others have a look.

        Nothing is raised: what cannot be noted is taken, by others and in a while, for
        a runner's death.
        """
        clock = claim.held.clock
        try:
            self._records.replace(claim.key, claim.held, progress, clock=clock)
        except BackendError:
            return
        self._tier.release(claim.lease)
