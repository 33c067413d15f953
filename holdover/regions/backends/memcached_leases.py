"""Leases in `holdover.memcached`: an item beside each value, which lapses by itself.

Who adds the lease's item may create. A commit replaces the value's item only if that
has the version that it had when the lease was won; where there is no value, a
placeholder lies in its place, so that there is a version. So a write or a removal
refuses the commit by changing the value, and whatever ends the lease (its ttl, an
eviction, a restart, somebody who overtakes it) by its item's absence.
"""

from __future__ import annotations

import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from dataclasses import replace

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.memcached_link import Connection, Link
from holdover.regions.backends.memcached_names import lease_name, tick_name, value_name
from holdover.regions.backends.memcached_records import (
    PAST,
    PLACEHOLDER_TTL,
    LeaseRecord,
    exptime,
    is_placeholder,
    placeholder,
    value_in,
)
from holdover.regions.backends.memcached_servers import Servers
from holdover.regions.envelope import fence_of, new_fence
from holdover.regions.errors import BackendError, ValueTooLarge
from holdover.regions.timesource import TimeSource

_MOST_TRIES = 50  # while others keep changing the same key
_MARK = "."  # between a lease's secret and the version of the value


class LeasesInMemcached(Backend):
    """The part of the backend that is about leases."""

    _servers: Servers
    _time: TimeSource

    @abstractmethod
    def _tick(self, region: str, link: Link, found: bytes | None) -> int: ...

    @abstractmethod
    def _checked(self, stored: Stored) -> bytes: ...

    @abstractmethod
    def _exptime(self, ttl: float | None) -> int: ...

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
        kind = LeaseKind.QUEUED if queued else LeaseKind.HELD
        value, tick = value_name(key), tick_name(region)
        lease, link = lease_name(value), self._servers.link_for(value)
        for _ in range(_MOST_TRIES):
            found = link.fetch([tick, value, lease])
            now = self._tick(region, link, found.get(tick))
            stored = value_in(found.get(value))
            if stored is not None and fence_of(stored) != seen:
                return Changed(stored, now)
            held = LeaseRecord.read(found.get(lease))
            if held is not None and held.kind not in overtaking:
                return held.busy(self._time.wall())
            record = self._record(kind, ttl)
            with link.conversation() as server:
                if not _elect(server, lease, record, found.get(lease), overtaking):
                    continue
                guarded = _guard(server, value, seen)
                if isinstance(guarded, bytes):  # by who had the lease before
                    _drop(server, lease, record.secret)
                    return Changed(guarded, now)
            return _lease(key, record, guarded, now)
        raise _changing(key)

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""

        def renewed(held: LeaseRecord) -> LeaseRecord:
            return replace(held, lapses_at=self._time.wall() + ttl, ttl=ttl)

        return self._change(lease.key, lease.token, renewed) is not None

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        version = _version_in(token)
        if version is None:
            return None
        link, name = self._servers.link_for(value_name(key)), tick_name(region)
        tick = self._tick(region, link, link.fetch([name]).get(name))

        def adopted(held: LeaseRecord) -> LeaseRecord:
            return replace(self._record(LeaseKind.HELD, ttl), fence=held.fence)

        record = self._change(key, token, adopted)
        return None if record is None else _lease(key, record, version, tick)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        try:
            data = self._checked(stored)
        except ValueTooLarge:
            self.remove(lease.key)  # which is outdated, and would never be replaced
            raise
        name, tick = value_name(lease.key), tick_name(region)
        link, version = self._servers.link_for(name), _version_in(lease.token)
        if version is None:
            return None
        with link.conversation() as server:
            found, held_version = server.gets(lease_name(name))
            held = LeaseRecord.read(found)
            if held is None or held.fence != lease.fence:
                return None
            done = server.cas(name, data, version, self._exptime(ttl))
            server.cas(lease_name(name), b"", held_version, PAST)
            shown = server.get_multi([tick]) if done else {}
        return self._tick(region, link, shown.get(tick)) if done else None

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        name = value_name(lease.key)
        with self._servers.link_for(name).conversation() as server:
            return _drop(server, lease_name(name), _secret_in(lease.token))

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""

        def paused(_: LeaseRecord) -> LeaseRecord:
            record = self._record(
                LeaseKind.BACKING_OFF, ttl
            )  # whose secret nobody knows
            return replace(record, fence=0, reason=reason)

        return self._change(lease.key, lease.token, paused) is not None

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        value = value_name(key)
        name = lease_name(value)
        held = LeaseRecord.read(self._servers.link_for(value).fetch([name]).get(name))
        return None if held is None else held.busy(self._time.wall())

    def _change(
        self, key: str, token: str, change: Callable[[LeaseRecord], LeaseRecord]
    ) -> LeaseRecord | None:
        """Change the record of the lease that *token* proves; None if it is lost."""
        value = value_name(key)
        name = lease_name(value)
        with self._servers.link_for(value).conversation() as server:
            found, version = server.gets(name)
            held = _held(found, _secret_in(token))
            if held is None:
                return None
            record = change(held)
            until = exptime(record.ttl, time.time())
            # Whoever else changed it has ended it, or is its holder in another thread.
            return record if server.cas(name, record.packed(), version, until) else None

    def _record(self, kind: LeaseKind, ttl: float) -> LeaseRecord:
        """Make the record of a new lease."""
        return LeaseRecord(
            kind=kind,
            secret=secrets.token_hex(16),
            fence=new_fence(),
            lapses_at=self._time.wall() + ttl,
            ttl=ttl,
        )


def _lease(key: str, record: LeaseRecord, version: int, tick: int) -> Lease:
    """Tell the holder what he has; the token also tells the version of the value."""
    token = f"{record.secret}{_MARK}{version}"
    return Lease(key=key, token=token, fence=record.fence, clock=tick, ttl=record.ttl)


def _secret_in(token: str) -> str:
    return token.partition(_MARK)[0]


def _version_in(token: str) -> int | None:
    version = token.partition(_MARK)[2]
    return int(version) if version.isascii() and version.isdigit() else None


def _held(found: bytes | None, secret: str) -> LeaseRecord | None:
    held = LeaseRecord.read(found)
    return held if held is not None and held.secret == secret else None


# -- over one connection -------------------------------------------------------


def _elect(
    server: Connection,
    name: bytes,
    record: LeaseRecord,
    seen: bytes | None,
    overtaking: Collection[LeaseKind],
) -> bool:
    """Try to be the one who may create, where this lease (None: none) was seen."""
    until = exptime(record.ttl, time.time())
    if seen is None:
        return server.add(name, record.packed(), until)
    found, version = server.gets(name)
    held = LeaseRecord.read(found)
    if found is None or (held is not None and held.kind not in overtaking):
        return False
    return server.cas(name, record.packed(), version, until)


def _guard(server: Connection, value: bytes, seen: int | None) -> int | bytes:
    """Give the version of what a commit will replace; or a value, if there is another.

    Looked at only now: the holder before may have stored his value between our look
    and the end of his lease.
    """
    for _ in range(_MOST_TRIES):
        data, version = server.gets(value)
        if data is None:
            server.add(value, placeholder(), exptime(PLACEHOLDER_TTL, time.time()))
        elif is_placeholder(data) or fence_of(data) == seen:
            return version
        else:
            return data
    raise _changing(value)


def _drop(server: Connection, name: bytes, secret: str) -> bool:
    """End a lease, if it still is this one."""
    for _ in range(_MOST_TRIES):
        found, version = server.gets(name)
        if _held(found, secret) is None:
            return False
        if server.cas(name, b"", version, PAST):
            return True  # and not renewed in between
    raise _changing(name)


def _changing(key: str | bytes) -> BackendError:
    return BackendError(f"{key!r:.80} was changed by others all the time")
