"""diskcache, which keeps small values in SQLite and large ones in files."""

from __future__ import annotations

from diskcache import Cache

from peers.subject import LIFETIME, Call, Maker, Place, hit


def file(place: Place, make: Maker) -> Call:
    """In its folder."""
    return hit(Cache(place.folder).memoize(expire=LIFETIME)(make.price))
