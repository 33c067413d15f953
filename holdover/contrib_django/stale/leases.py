"""The leases that a context has won by reading, until it writes or ends.

A context is a thread, or an asynchronous task with all that it awaits and the threads
it goes to by ``sync_to_async()``. Once it is gone, nobody refers to its leases any
more, and that releases them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TypeAlias

from holdover import KeyLease, Region

MOST_LEASES = 100  # of one context that reads and never writes

_Leases: TypeAlias = Mapping[tuple[Region, str], KeyLease]

# What it holds is replaced and never changed, since tasks share what they inherit.
_leases: ContextVar[_Leases] = ContextVar(
    "holdover_django_leases", default=MappingProxyType({})
)


def holds_lease(region: Region, key: str) -> bool:
    """Say whether this context has the lease of *key*."""
    lease = _leases.get().get((region, key))
    return lease is not None and lease.is_held


def keep_lease(region: Region, key: str, lease: KeyLease) -> None:
    """Let this context have a lease; the oldest of too many is released."""
    held = {place: one for place, one in _leases.get().items() if one.is_held}
    while len(held) >= MOST_LEASES:
        held.pop(next(iter(held))).release()
    _leases.set({**held, (region, key): lease})


def take_lease(region: Region, key: str) -> KeyLease | None:
    """Give the lease of *key*, for its last use; None if this context has none."""
    held = _leases.get()
    if (region, key) not in held:
        return None
    rest = dict(held)
    lease = rest.pop((region, key))
    _leases.set(rest)
    return lease if lease.is_held else None


def release_lease(region: Region, key: str) -> None:
    """Let others make *key*, if this context was to do so."""
    lease = take_lease(region, key)
    if lease is not None:
        lease.release()


def release_leases(region: Region) -> None:
    """Let others make whatever of *region* this context was to make."""
    for owner, key in _leases.get():
        if owner is region:
            release_lease(region, key)
