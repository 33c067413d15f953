"""Removals that a failing backend has not heard of yet."""

from __future__ import annotations

import itertools

from holdover.regions.forks import ForkSafeLock
from holdover.regions.ticks import Mark

Pending = str | Mark | None
"""What an invalidation reaches: a key, a tag or prefix, or the `WHOLE_REGION`."""

WHOLE_REGION = None

_MOST = 10_000


class Undelivered:
    """The keys whose stored values this process must not trust.

    Bounded: beyond ten thousand keys, the whole region is distrusted instead.
    """

    def __init__(self) -> None:
        self._keys: dict[Pending, int] = {}  # what -> when it was noted
        self._moments = itertools.count(1)
        self._lock = ForkSafeLock()  # guards changes of _keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __contains__(self, key: Pending) -> bool:
        return key in self._keys

    def concerning(self, key: str) -> list[Pending]:
        """Give what must be delivered before *key* can be trusted."""
        # Which keys a tag or a prefix reaches is known only once they are read.
        marks = [one for one in list(self._keys) if isinstance(one, Mark)]
        return [one for one in (WHOLE_REGION, *marks, key) if one in self._keys]

    def pending(self) -> list[Pending]:
        """Give all that is to be delivered."""
        return list(self._keys)

    def moment(self) -> int:
        """Note the time, before a removal is tried."""
        return next(self._moments)

    def remember(self, key: Pending) -> None:
        """Distrust *key* until it is delivered."""
        with self._lock.held:
            self._keys[key] = self.moment()
            if len(self._keys) > _MOST:
                self._keys = {WHOLE_REGION: self.moment()}

    def delivered(self, key: Pending, begun: int) -> None:
        """Trust *key* again, unless it was noted after the removal had *begun*."""
        with self._lock.held:
            if self._keys.get(key, begun) < begun:
                del self._keys[key]
