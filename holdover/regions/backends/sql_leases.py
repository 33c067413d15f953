"""Leases in `holdover.sql`: a few columns beside each value."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Collection
from typing import Any

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.sql_link import Link
from holdover.regions.backends.sql_purging import Purger
from holdover.regions.backends.sql_records import (
    KIND_NUMBERS,
    KINDS,
    clock_id,
    reason_bytes,
    sound_tick,
    sound_value,
    span,
    to_bytes,
    value_id,
)
from holdover.regions.backends.sql_statements import Statements
from holdover.regions.envelope import fence_of, new_fence
from holdover.regions.errors import BackendError

_MOST_TRIES = 20  # while the row comes and goes between two statements
_NONE = -1  # no kind of lease


class LeasesInSql(Backend):
    """The part of the backend that is about leases.

    A commit is carried out only while the row carries the fence that `acquire` gave. So
    whatever ends a lease (a write, a removal, another lease) also refuses the commit.
    """

    _link: Link
    _words: Statements
    _purger: Purger

    @abstractmethod
    def _checked(self, stored: Stored) -> bytes: ...

    @abstractmethod
    def _tick(self, region: str) -> int: ...

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
        row_id = value_id(key)
        token, fence = secrets.token_hex(16), new_fence()
        kind = LeaseKind.QUEUED if queued else LeaseKind.HELD
        given = {
            "id": row_id,
            "token": token.encode(),
            "kind": KIND_NUMBERS[kind],
            "fence": fence,
            "ttl": float(ttl),
            "seen": seen,
            "queued": _overtaken(LeaseKind.QUEUED, overtaking),
            "paused": _overtaken(LeaseKind.BACKING_OFF, overtaking),
        }
        asked = Lease(key=key, token=token, fence=fence, clock=0, ttl=ttl)
        for _ in range(_MOST_TRIES):
            for statement in self._words.take:
                if self._link.change(statement, **given):
                    break
            # What came of it: also if somebody came in between.
            row = self._link.ask(self._words.state, clock=clock_id(region), **given)
            grant = row and _grant(row, asked, seen, self._tick_in(row, region))
            if grant:
                return grant
            if row and _is_damaged(row, seen):
                self._link.execute(*self._words.remove_rows([row_id]))
        raise BackendError(f"the lease of {key!r:.80} keeps changing")

    def _tick_in(self, row: Any, region: str) -> int:
        return sound_tick(row[-1]) or self._tick(region)

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        return self._changed(self._words.renew, lease, ttl=float(ttl))

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        new_token = secrets.token_hex(16)
        done = self._link.change(
            self._words.adopt,
            id=value_id(key),
            token=to_bytes(token),
            new_token=new_token.encode(),
            kind=KIND_NUMBERS[LeaseKind.HELD],
            ttl=float(ttl),
        )
        row = done and self._link.ask(
            self._words.adopted,
            id=value_id(key),
            token=new_token.encode(),
            clock=clock_id(region),
        )
        if not row:
            return None
        tick = self._tick_in(row, region)
        return Lease(key=key, token=new_token, fence=row[0], clock=tick, ttl=ttl)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        self._purger.count_writes(1)
        done = self._link.change(
            self._words.commit,
            id=value_id(lease.key),
            envelope=self._checked(stored),
            fence=fence_of(stored),
            ttl=span(ttl),
            lease_fence=lease.fence,
        )
        # A statement of its own: what the one above saw of the clock may be from
        # before it waited for somebody else's lock.
        return self._tick(region) if done else None

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        return any(self._changed(one, lease) for one in self._words.release)

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        return self._changed(
            self._words.back_off,
            lease,
            ttl=float(ttl),
            nobody=secrets.token_hex(16).encode(),
            kind=KIND_NUMBERS[LeaseKind.BACKING_OFF],
            reason=reason_bytes(reason),
        )

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        row = self._link.ask(self._words.leased, id=value_id(key))
        return _busy(*row) if row else None

    def _changed(self, statement: Any, lease: Lease, **given: Any) -> bool:
        proof = {"id": value_id(lease.key), "token": to_bytes(lease.token)}
        return self._link.change(statement, **proof, **given) == 1


def _overtaken(kind: LeaseKind, overtaking: Collection[LeaseKind]) -> int:
    return KIND_NUMBERS[kind] if kind in overtaking else _NONE


def _grant(row: Any, asked: Lease, seen: int | None, tick: int) -> Grant | None:
    """Read what came of asking for a lease; None if it is to be asked again."""
    fence, envelope, token, kind, left, reason, _ = row
    if sound_value(token) == asked.token.encode():
        return Lease(
            key=asked.key,
            token=asked.token,
            fence=asked.fence,
            clock=tick,
            ttl=asked.ttl,
        )
    if fence is not None and fence != seen:
        stored = sound_value(envelope)
        return None if stored is None else Changed(stored, tick)
    return _busy(kind, left, reason)


def _is_damaged(row: Any, seen: int | None) -> bool:
    """Say whether there is no value where the fence is that of one."""
    fence, envelope = row[:2]
    return fence is not None and fence != seen and sound_value(envelope) is None


def _busy(kind: Any, left: Any, reason: Any) -> Busy | None:
    if kind not in KINDS or left is None or left <= 0:
        return None
    why = (sound_value(reason) or b"").decode("utf-8", "replace")
    return Busy(float(left), KINDS[kind], why)
