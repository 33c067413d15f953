"""Who asks, and how many pages that are not there he may have stored."""

from __future__ import annotations

import ipaddress
import secrets
import time
from array import array
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING

from holdover.regions.forks import ForkSafeLock
from holdover.wsgi.http.policy import Policy

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_SEATS = 4096  # 32 KB, however many clients there are
_NETWORK = 8  # bytes of an IPv6 address; whoever has one has all that begin so


def read_address(
    text: str,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


class Newcomers:
    """Says whether a client may have one more new page stored, in this process.

    Each client has a token bucket, kept as the one instant at which that will be full.
    Buckets stand in a table of fixed size under a hash that no client can foresee: it
    cannot be filled up, nothing is ever dropped from it to somebody's advantage, and
    the few clients who share one only have fewer pages stored.

    Args:
        policy: How many, and within which time.
        now: The clock to go by; seconds.
    """

    def __init__(
        self, policy: Policy, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = policy.most_new_pages
        self._span = policy.new_pages_within
        self._client = policy.client
        self._now = now
        self._salt = secrets.token_bytes(16)
        self._lock = ForkSafeLock()  # guards the table
        self._full_at = array("d", [0.0]) * (0 if self._most is None else _SEATS)

    def would_admit(self, environ: WSGIEnvironment) -> bool:
        """Say whether `admit` would, and leave it at that."""
        if self._most is None:
            return True
        with self._lock.held:
            return self._after_one_more(self._seat(environ), self._most) is not None

    def admit(self, environ: WSGIEnvironment) -> bool:
        """Take one from who has sent a request; say whether there was one."""
        if self._most is None:
            return True
        seat = self._seat(environ)
        with self._lock.held:
            full_at = self._after_one_more(seat, self._most)
            if full_at is not None:
                self._full_at[seat] = full_at
        return full_at is not None

    def name(self, environ: WSGIEnvironment) -> str:
        """Say who has sent a request."""
        if self._client is not None:
            return str(self._client(environ))
        return str(environ.get("REMOTE_ADDR", ""))

    def _after_one_more(self, seat: int, most: int) -> float | None:
        now = self._now()
        full_at = max(now, self._full_at[seat]) + self._span / most
        # What adding up has rounded is not taken off anybody's number.
        is_there = full_at - now <= self._span * (1 + 1e-9)
        return full_at if is_there else None

    def _seat(self, environ: WSGIEnvironment) -> int:
        name = self.name(environ)
        address = read_address(name)
        known = (
            name.encode(errors="backslashreplace")
            if address is None
            else address.packed[:_NETWORK]
        )
        digest = blake2b(known, digest_size=8, key=self._salt).digest()
        return int.from_bytes(digest) % _SEATS
