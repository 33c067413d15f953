"""Removals that a failing backend has not heard of yet."""

from __future__ import annotations

import itertools
import math

from holdover.regions.forks import ForkSafeLock
from holdover.regions.ticks import Mark
from holdover.regions.values import frozen


@frozen
class Late:
    """A write that failed, which the backend may carry out later all the same.

    Such as a server that was frozen: when it goes on, it reads what it was sent.

    Attributes:
        key: The key.
        fence: That of the entry that was to be written.
    """

    key: str
    fence: int


Pending = str | Mark | Late | None
"""What is to be delivered: the invalidation of a key, of a tag or a prefix, or of the
`WHOLE_REGION`; or the removal of what a late write may store."""

WHOLE_REGION = None

_MOST = 10_000
_LATEST = 1.0  # seconds after the backend has answered again; far more than it takes


class Undelivered:
    """The keys whose stored values this process must not trust.

    Bounded: beyond ten thousand keys, the whole region is distrusted instead.

    Attributes:
        noted: All that is to be delivered, and when it was noted.
        late: The writes that may still come, and when the backend has answered first
            since (steady clock).
    """

    def __init__(self) -> None:
        self.noted: dict[Pending, int] = {}
        self.late: dict[Late, float] = {}
        self._moments = itertools.count(1)
        self._lock = ForkSafeLock()  # guards changes of both

    def __bool__(self) -> bool:
        return bool(self.noted)

    def __contains__(self, key: Pending) -> bool:
        return key in self.noted

    def concerning(self, key: str) -> list[Pending]:
        """Give what must be delivered before *key* can be trusted."""
        # Which keys a tag or a prefix reaches is known only once they are read.
        wider = [
            one
            for one in list(self.noted)
            if isinstance(one, Mark) or (isinstance(one, Late) and one.key == key)
        ]
        return [one for one in (WHOLE_REGION, *wider, key) if one in self.noted]

    def pending(self) -> list[Pending]:
        """Give all that is to be delivered."""
        return list(self.noted)

    def moment(self) -> int:
        """Note the time, before a removal is tried."""
        return next(self._moments)

    def remember(self, key: Pending) -> None:
        """Distrust *key* until it is delivered."""
        with self._lock.held:
            self.noted[key] = self.moment()
            if isinstance(key, Late):
                self.late[key] = math.inf
            if len(self.noted) > _MOST:
                self.noted = {WHOLE_REGION: self.moment()}
                self.late.clear()

    def delivered(self, key: Pending, begun: int) -> None:
        """Trust *key* again, unless it was noted after the removal had *begun*."""
        with self._lock.held:
            if self.noted.get(key, begun) < begun:
                del self.noted[key]

    def looked_for(self, late: Late, now: float) -> None:
        """Look no more for a write if the backend has answered for long enough.

        Args:
            late: The write, which was not found, or was removed.
            now: When that began (steady clock).
        """
        with self._lock.held:
            if late not in self.late:
                return
            self.late[late] = first = min(self.late[late], now)
            if now - first >= _LATEST:
                del self.noted[late], self.late[late]
