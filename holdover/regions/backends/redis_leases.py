"""Leases in `holdover.redis`: a record beside each value, which lapses by itself."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.base import Backend, translated
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.redis_clock import epoch
from holdover.regions.backends.redis_conversation import Way
from holdover.regions.backends.redis_records import (
    busy_of,
    lease_record,
    letters,
    packed_fence,
    span,
    tick_of,
)
from holdover.regions.backends.redis_replies import a_list, a_number, accepted
from holdover.regions.backends.sending import batches, weight
from holdover.regions.encoding import to_bytes
from holdover.regions.envelope import new_fence
from holdover.regions.errors import BackendError


class LeasesInRedis(Backend):
    """The part of the backend that is about leases.

    A commit is carried out only while the lease's record is there and carries the
    fence that `acquire` gave. So whatever ends a lease (a write, a removal, its ttl, a
    server that lost it) also refuses the commit.
    """

    _link: Way
    _atomic: steps.Steps

    @abstractmethod
    def _lease_name(self, key: str) -> bytes: ...

    @abstractmethod
    def _names(self, key: str, region: str) -> tuple[bytes, bytes, bytes, bytes]: ...

    @abstractmethod
    def _checked(self, stored: Stored) -> bytes: ...

    @abstractmethod
    def _px(self, ttl: float | None) -> bytes: ...

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
        return self.acquire_multi(
            {key: seen}, region, ttl=ttl, queued=queued, overtaking=overtaking
        )[0]

    def acquire_multi(
        self,
        seen: Mapping[str, int | None],
        region: str,
        *,
        ttl: float,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> list[Grant]:
        """See `Backend.acquire_multi`."""
        kind = LeaseKind.QUEUED if queued else LeaseKind.HELD
        grants: list[Grant] = []
        for batch in batches(list(seen.items())):
            asked = [_wanted(key, ttl) for key, _ in batch]
            calls = [
                (
                    self._names(key, region),
                    (
                        packed_fence(fence_seen),
                        lease_record(kind, one.token, one.fence),
                        span(ttl),
                        letters(overtaking),
                        self._epoch(),
                    ),
                )
                for (key, fence_seen), one in zip(batch, asked, strict=True)
            ]
            replies = self._atomic.run_many(steps.ACQUIRE, calls)
            grants += [
                self._grant(reply, one, region)
                for reply, one in zip(replies, asked, strict=True)
            ]
        return grants

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        return self._done(steps.RENEW, *self._proof(lease), span(ttl))

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        _, *names = self._names(key, region)
        new_token = secrets.token_hex(16)
        args = (to_bytes(token), new_token.encode(), span(ttl), self._epoch())
        reply = self._atomic.run(steps.ADOPT, names, *args)
        if reply is None:
            return None
        fence, clock = a_list(reply, 2)
        with translated("adopting a lease that is none of ours", ValueError):
            number = int(fence, 16)
        tick = self._tick_beside(key, region, clock)
        return Lease(key=key, token=new_token, fence=number, clock=tick, ttl=ttl)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        return self.commit_multi([(lease, stored, ttl)], region)[0]

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Stored, float | None]], region: str
    ) -> list[int | None]:
        """See `Backend.commit_multi`."""
        ticks: list[int | None] = []
        for batch in batches(commits, size=lambda one: weight(one[1])):
            calls = [
                (
                    self._names(lease.key, region),
                    (
                        b"%016x" % lease.fence,
                        self._checked(stored),
                        self._px(ttl),
                        self._epoch(),
                    ),
                )
                for lease, stored, ttl in batch
            ]
            replies = self._atomic.run_many(steps.COMMIT, calls)
            ticks += [
                None if clock is None else self._tick_beside(lease.key, region, clock)
                for (lease, _, _), clock in zip(batch, replies, strict=True)
            ]
        return ticks

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        return self._done(steps.RELEASE, *self._proof(lease))

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        nobody = secrets.token_hex(16)
        record = lease_record(LeaseKind.BACKING_OFF, nobody, 0, reason)
        return self._done(steps.BACK_OFF, *self._proof(lease), record, span(ttl))

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        name = self._lease_name(key)
        return busy_of(*accepted(self._link.ask(("GET", name), ("PTTL", name))))

    def _grant(self, reply: Any, wanted: Lease, region: str) -> Grant:
        """Read what came of asking for a lease."""
        key = wanted.key
        match reply:
            case [b"lease", clock]:
                return replace(wanted, clock=self._tick_beside(key, region, clock))
            case [b"changed", bytes(stored), clock]:
                return Changed(stored, self._tick_beside(key, region, clock))
            case [b"busy", record, milliseconds_left]:
                busy = busy_of(record, milliseconds_left)
                if busy is not None:
                    return busy
        raise BackendError(f"Redis answered {reply!r:.80} where a lease was asked for")

    def _tick_beside(self, key: str, region: str, clock: Any) -> int:
        """Read the tick that came with an answer about *key*."""
        tick = tick_of(clock)
        if tick is None:
            raise BackendError(f"Redis answered {clock!r:.80} where a clock was wanted")
        return tick

    def _epoch(self) -> bytes:
        """Draw the epoch of a clock that a step may have to make."""
        return epoch()

    def _proof(self, lease: Lease) -> tuple[tuple[bytes], bytes]:
        return (self._lease_name(lease.key),), to_bytes(lease.token)

    def _done(self, step: steps.Step, names: Sequence[bytes], *args: bytes) -> bool:
        return a_number(self._atomic.run(step, names, *args)) == 1


def _wanted(key: str, ttl: float) -> Lease:
    """Draw a lease, which is none before it is granted with its clock."""
    token = secrets.token_hex(16)
    return Lease(key=key, token=token, fence=new_fence(), clock=0, ttl=ttl)
