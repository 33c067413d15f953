"""What `KeyedBackend` keeps in a store, under which names, and what a store is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from holdover.regions.backends.grants import Busy, Lease, LeaseKind
from holdover.regions.backends.host_records import digest


class Store(Protocol):
    """A key-value store: the part of Django's cache API that is needed.

    A *timeout* is seconds, or None for ever.
    """

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """Give what there is, by key."""

    def set(self, key: str, value: bytes, timeout: int | None) -> object:
        """Store."""

    def add(self, key: str, value: bytes, timeout: int | None) -> bool:
        """Store unless there is a value; say whether it was, atomically."""

    def delete(self, key: str) -> bool:
        """Remove; say whether there was a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Who may create a key, or why nobody shall. Times are by the wall clock."""

    token: str
    fence: int
    until: float
    kind: str
    reason: str = ""

    def packed(self) -> bytes:
        """Give the record as bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, data: object) -> Record | None:
        """Read a record; None if there is none or it is damaged."""
        try:
            return cls(**json.loads(data))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None

    def busy(self, now: float) -> Busy | None:
        """Tell what it keeps others from at *now*, if it still does."""
        if self.until <= now:
            return None
        return Busy(self.until - now, LeaseKind(self.kind), self.reason)

    def lease(self, key: str, tick: int, ttl: float) -> Lease:
        """Give the lease as its holder knows it."""
        return Lease(key=key, token=self.token, fence=self.fence, clock=tick, ttl=ttl)


def timeout_of(ttl: float | None) -> int | None:
    """Whole seconds: some stores know no others."""
    return None if ttl is None else max(1, math.ceil(ttl))


def bytes_of(found: object) -> bytes | None:
    """Give what was found, if it can be ours."""
    return found if isinstance(found, bytes) else None


def value_name(key: str) -> str:
    """Name a value."""
    return f"holdover.v.{digest(key)}"


def lease_name(key: str) -> str:
    """Name a lease's record."""
    return f"holdover.l.{digest(key)}"


def clock_name(region: str) -> str:
    """Name a region's clock."""
    return f"holdover.c.{digest(region)}"


def mark_name(what: str) -> str:
    """Name the mark that only one can add."""
    return f"holdover.m.{digest(what)}"
