"""`holdover.null`: keeps nothing, so that caching can be switched off by configuration.

Every call is a miss. Callers of one key in one process still share one creation at a
time; nobody waits for another process.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from holdover.regions.backends.base import Backend
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import Busy, Grant, Lease, LeaseKind, Stored
from holdover.regions.envelope import new_fence
from holdover.regions.ticks import ClockState, Reach

_CLOCK = ClockState(tick=1, hard_floor=1, soft_floor=0)


class NullBackend(Backend):
    """A backend without entries. It takes no arguments."""

    capabilities = Capabilities(
        shared_by="process",
        durable=False,
        keeps_objects=True,
        bounded_by=("nothing",),
        clock="none",
        expires_by_itself=True,
    )
    known_arguments = frozenset[str]()

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        return None, _CLOCK.tick

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        return False

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        return seen is None

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
        """See `Backend.acquire`. Whoever asks may create."""
        return Lease(
            key=key,
            token=secrets.token_hex(16),
            fence=new_fence(),
            clock=_CLOCK.tick,
            ttl=ttl,
        )

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`. There is nothing to keep alive."""
        return False

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`. No order is worth carrying out."""
        return None

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`. It is as good as evicted at once."""
        return _CLOCK.tick

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        return True

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        return True

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        return None

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return _CLOCK

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`. There is nothing to invalidate."""
        return _CLOCK

    def purge(self) -> int:
        """See `Backend.purge`."""
        return 0
