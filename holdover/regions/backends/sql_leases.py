"""Leases in `holdover.sql`: a few columns beside each value."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
from holdover.regions.backends.sending import batches, reason_bytes, weight
from holdover.regions.backends.sql_link import Link
from holdover.regions.backends.sql_purging import Purger
from holdover.regions.backends.sql_records import (
    KIND_NUMBERS,
    KINDS,
    MOST_ROWS,
    clock_id,
    sound_value,
    span,
    value_id,
)
from holdover.regions.backends.sql_statements import Statements
from holdover.regions.encoding import to_bytes
from holdover.regions.envelope import fence_of, new_fence
from holdover.regions.errors import BackendError
from holdover.regions.ticks import sound_tick

_MOST_TRIES = 20  # while the row comes and goes between two statements
_NONE = -1  # no kind of lease


@dataclass(frozen=True, slots=True)
class _Asked:
    """A lease that is asked for.

    Attributes:
        lease: What its holder will know, but for the clock.
        seen: The fence of the value that the asking has seen.
        given: The same as parameters of statements.
    """

    lease: Lease
    seen: int | None
    given: dict[str, Any]

    @classmethod
    def of(
        cls,
        key: str,
        seen: int | None,
        ttl: float,
        *,
        queued: bool,
        overtaking: Collection[LeaseKind],
    ) -> _Asked:
        """Make a new token and a new fence to ask with."""
        token, fence = secrets.token_hex(16), new_fence()
        given = {
            "id": value_id(key),
            "token": token.encode(),
            "kind": KIND_NUMBERS[LeaseKind.QUEUED if queued else LeaseKind.HELD],
            "fence": fence,
            "ttl": float(ttl),
            "seen": seen,
            "queued": _overtaken(LeaseKind.QUEUED, overtaking),
            "paused": _overtaken(LeaseKind.BACKING_OFF, overtaking),
        }
        lease = Lease(key=key, token=token, fence=fence, clock=0, ttl=ttl)
        return cls(lease, seen, given)


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
        asked = _Asked.of(key, seen, ttl, queued=queued, overtaking=overtaking)
        for _ in range(_MOST_TRIES):
            for statement in self._words.take:
                if self._link.change(statement, **asked.given):
                    break
            # What came of it: also if somebody came in between.
            row = self._link.ask(
                self._words.state, clock=clock_id(region), **asked.given
            )
            grant = self._granted(row, asked, region)
            if grant:
                return grant
            if row and _is_damaged(row, seen):
                self._link.execute(*self._words.remove_rows([value_id(key)]))
        raise BackendError(f"the lease of {key!r:.80} keeps changing")

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
        grants: dict[str, Grant] = {}
        # In one order for all: no deadlock.
        for batch in batches(
            sorted(seen.items(), key=lambda item: value_id(item[0])), most=MOST_ROWS
        ):
            asked = [
                _Asked.of(key, one, ttl, queued=queued, overtaking=overtaking)
                for key, one in batch
            ]
            self._take_each(asked)
            clock = clock_id(region)
            rows = self._link.ask_each(
                self._words.state, [{"clock": clock, **one.given} for one in asked]
            )
            for one, row in zip(asked, rows, strict=True):
                grants[one.lease.key] = self._granted(row, one, region) or self.acquire(
                    one.lease.key,
                    region,
                    ttl=ttl,
                    seen=one.seen,
                    queued=queued,
                    overtaking=overtaking,
                )
        return [grants[key] for key in seen]

    def _take_each(self, asked: Sequence[_Asked]) -> None:
        """Take the leases that are free; who got which is asked for afterwards."""
        for statement in self._words.take:
            given = [one.given for one in asked]
            taken = self._link.change_each(statement, given) if given else []
            asked = [one for one, count in zip(asked, taken, strict=True) if not count]

    def _granted(self, row: Any, asked: _Asked, region: str) -> Grant | None:
        return row and _grant(row, asked, self._tick_in(row, region))

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
        return self.commit_multi([(lease, stored, ttl)], region)[0]

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Stored, float | None]], region: str
    ) -> list[int | None]:
        """See `Backend.commit_multi`."""
        self._purger.count_writes(len(commits))
        rows = [self._commit_row(*one) for one in commits]
        done: dict[bytes, int] = {}
        ordered = sorted(rows, key=lambda row: row["id"])
        for batch in batches(
            ordered, most=MOST_ROWS, size=lambda row: weight(row["envelope"])
        ):
            changed = self._link.change_each(self._words.commit, batch)
            done.update(zip([row["id"] for row in batch], changed, strict=True))
        # A statement of its own: what those above saw of the clock may be from before
        # they waited for somebody else's lock.
        tick = self._tick(region) if any(done.values()) else None
        return [tick if done[row["id"]] else None for row in rows]

    def _commit_row(
        self, lease: Lease, stored: Stored, ttl: float | None
    ) -> dict[str, Any]:
        return {
            "id": value_id(lease.key),
            "envelope": self._checked(stored),
            "fence": fence_of(stored),
            "ttl": span(ttl),
            "lease_fence": lease.fence,
        }

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


def _grant(row: Any, asked: _Asked, tick: int) -> Grant | None:
    """Read what came of asking for a lease; None if it is to be asked again."""
    fence, envelope, token, kind, left, reason, _ = row
    if sound_value(token) == asked.given["token"]:
        return replace(asked.lease, clock=tick)
    if fence is not None and fence != asked.seen:
        stored = _stored_with(fence, envelope)
        return None if stored is None else Changed(stored, tick)
    return _busy(kind, left, reason)


def _is_damaged(row: Any, seen: int | None) -> bool:
    """Say whether there is no value where the fence is that of one."""
    fence, envelope = row[:2]
    is_told = fence is not None and fence != seen
    return is_told and _stored_with(fence, envelope) is None


def _stored_with(fence: Any, envelope: Any) -> bytes | None:
    """Give a value if it has that fence: else nobody could ever have seen it."""
    stored = sound_value(envelope)
    return stored if stored is not None and fence_of(stored) == fence else None


def _busy(kind: Any, left: Any, reason: Any) -> Busy | None:
    if kind not in KINDS or left is None or left <= 0:
        return None
    why = (sound_value(reason) or b"").decode("utf-8", "replace")
    return Busy(float(left), KINDS[kind], why)
