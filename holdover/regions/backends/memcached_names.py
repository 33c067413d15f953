"""Under which names `holdover.memcached` keeps things, and on which server.

memcached takes 250 visible ASCII bytes for a name. What is none gets a digest.
"""

from __future__ import annotations

import functools
import hashlib
import re
from bisect import bisect
from collections.abc import Sequence

from holdover.regions.encoding import to_bytes

REMEMBERED = 1024  # keys, of which a hit need not find out anew where they are

_OURS = b"holdover:"
_VISIBLE = re.compile(rb"[!-~]{1,250}")
_LONGEST = 250
_POINTS = 160  # of each server on the ring


@functools.lru_cache(maxsize=REMEMBERED)
def value_name(key: str) -> bytes:
    """Name a value: by its key, where dogpile.cache has it too, if that can be."""
    name = to_bytes(key)
    if _VISIBLE.fullmatch(name) and not name.startswith(_OURS):
        return name
    return _named(b"value:", name)


def lease_name(value: bytes) -> bytes:
    """Name the lease of the value of that name."""
    return _named(b"lease:", value)


def tick_name(region: str) -> bytes:
    """Name the tick of a region's clock."""
    return _named(b"clock:", to_bytes(region))


def clock_name(region: str) -> bytes:
    """Name a region's whole clock."""
    return _named(b"marks:", to_bytes(region))


def _named(kind: bytes, name: bytes) -> bytes:
    """Name a thing of ours; "=" tells a name from a digest, "#"."""
    whole = _OURS + kind + b"=" + name
    if len(whole) <= _LONGEST and _VISIBLE.fullmatch(whole):
        return whole
    return _OURS + kind + b"#" + hashlib.sha256(name).hexdigest().encode()


class Ring:
    """Shares names out to servers, so that few move when a server comes or goes.

    Args:
        servers: What the servers are called, in any order.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        points = [
            (point, number)
            for number, server in enumerate(servers)
            for point in _points_of(server)
        ]
        self._points = sorted(points) if len(servers) > 1 else []
        self._starts = [point for point, _ in self._points]

    def number_for(self, name: bytes) -> int:
        """Say which of the servers has what is called *name*."""
        if not self._points:
            return 0
        found = bisect(self._starts, _hashed(name)) % len(self._points)
        return self._points[found][1]


def _points_of(server: str) -> list[int]:
    return [_hashed(f"{server}-{number}".encode()) for number in range(_POINTS)]


def _hashed(name: bytes) -> int:
    digest = hashlib.md5(name, usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big")
