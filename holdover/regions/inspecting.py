"""What can be told of one key: for people, not for logic."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any

from dogpile.cache.api import NO_VALUE

from holdover.regions.backends.grants import LeaseKind
from holdover.regions.decoding import Unreadable
from holdover.regions.entries import Entries
from holdover.regions.envelope import FOREVER
from holdover.regions.envelope_form import form_of
from holdover.regions.errors import BackendError
from holdover.regions.freshness import Freshness, expires_at
from holdover.regions.lifetime import Lifetime
from holdover.regions.values import frozen


@frozen(kw_only=True)
class Inspection:
    """What `Region.inspect` tells of a key. Spans and instants are in seconds.

    Attributes:
        key: The key as it is stored.
        freshness: What a caller may do with its value.
        created_at: When the value was made (wall clock); None without one.
        age: Seconds since then.
        expires_in: Seconds until it expires, below zero if it has; None: never, or
            there is no value.
        kept_for: Seconds for which it may be kept yet; None: without end, or there is
            no value.
        cost: Seconds that its creator took.
        tags: Names under which it can be invalidated.
        lifetime: Its own lifetime; None if its reader's judges it.
        lease: What keeps it from being created right now; None if nothing does.
        lease_expires_in: Seconds until that ends, unless it is renewed.
        queued_for: Seconds that its order has been waiting in a queue; None if none is.
        last_error: Why its creator is left alone, if it is.
        pending: Whether an invalidation has not been delivered yet, so that this
            process does not trust what is stored.
        reachable: Whether the backend answered.
        size: Bytes that are stored for it, metadata and all; None if nothing is, or if
            the backend keeps objects.
        codec: The tag of the codec that wrote them, by their own word; empty without.
        signed: Whether they carry a signature.
        compressed: Whether they are compressed.
        value: The value that is told of, fresh or not; ``NO_VALUE`` without one.
        unreadable: Why they are no value for this process, such as another secret or
            codec; empty if they are, or if nothing is stored.
    """

    key: str
    freshness: Freshness
    created_at: float | None = None
    age: float | None = None
    expires_in: float | None = None
    kept_for: float | None = None
    cost: float = 0.0
    tags: tuple[str, ...] = ()
    lifetime: Lifetime | None = None
    lease: LeaseKind | None = None
    lease_expires_in: float | None = None
    queued_for: float | None = None
    last_error: str = ""
    pending: bool = False
    reachable: bool = True
    size: int | None = None
    codec: str = ""
    signed: bool = False
    compressed: bool = False
    unreadable: str = ""
    value: Any = field(default=NO_VALUE, repr=False)

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell: bytes, a value, a lease."""
        has_value = self.created_at is not None or self.size is not None
        return has_value or self.lease is not None or self.pending


def inspect_key(entries: Entries, key: str, lifetime: Lifetime) -> Inspection:
    """Look at a key, without changing anything."""
    pending = entries.is_pending(key)
    try:
        found = entries.look(key, lifetime, strict=True)
        busy = entries.leased(key)
        stored, _ = entries.backend.read(key, entries.region)
    except BackendError:
        return Inspection(
            key=key, freshness=Freshness.GONE, pending=pending, reachable=False
        )
    told = Inspection(
        key=key,
        freshness=found.freshness,
        pending=pending,
        lease=busy.kind if busy else None,
        lease_expires_in=busy.expires_in if busy else None,
        last_error=busy.reason if busy else "",
    )
    if isinstance(stored, bytes):
        told = _with_form(told, stored, _problem(entries, stored, key))
    if found.freshness is Freshness.GONE:
        return told
    entry, now = found.entry, entries.now()
    end = expires_at(entry, lifetime)
    return replace(
        told,
        created_at=entry.created_at,
        age=now - entry.created_at,
        expires_in=None if end is None else end - now,
        kept_for=None if entry.kept_until == FOREVER else entry.kept_until - now,
        cost=entry.cost,
        tags=entry.tags,
        lifetime=entry.lifetime,
        value=entry.value,
    )


def _problem(entries: Entries, stored: bytes, key: str) -> str:
    """Say why bytes are no value here; nothing if they are one."""
    if entries.sealing is None:
        return "bytes, where the backend keeps objects"
    try:
        entries.sealing.open(stored, key)
    except Unreadable as problem:
        return str(problem)
    return ""


def _with_form(told: Inspection, stored: bytes, problem: str) -> Inspection:
    form = form_of(stored)
    told = replace(told, size=len(stored), unreadable=problem)
    if form is None:
        return told
    return replace(
        told, codec=form.codec, signed=form.signed, compressed=form.compressed
    )
