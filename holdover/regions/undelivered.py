"""Removals that a failing backend has not heard of yet."""

from __future__ import annotations

import itertools

from holdover.regions.forks import ForkSafeLock

WHOLE_REGION = None
"""Stands for every key of the region."""

_MOST = 10_000


class Undelivered:
    """The keys whose stored values this process must not trust.

    Bounded: beyond ten thousand keys, the whole region is distrusted instead.
    """

    def __init__(self) -> None:
        self._keys: dict[str | None, int] = {}  # key -> when it was noted
        self._moments = itertools.count(1)
        self._lock = ForkSafeLock()  # guards changes of _keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __contains__(self, key: str | None) -> bool:
        return key in self._keys

    def concerning(self, key: str) -> list[str | None]:
        """Give what must be delivered before *key* can be trusted."""
        return [one for one in (WHOLE_REGION, key) if one in self._keys]

    def moment(self) -> int:
        """Note the time, before a removal is tried."""
        return next(self._moments)

    def remember(self, key: str | None) -> None:
        """Distrust *key* until it is delivered."""
        with self._lock.held:
            self._keys[key] = self.moment()
            if len(self._keys) > _MOST:
                self._keys = {WHOLE_REGION: self.moment()}

    def delivered(self, key: str | None, begun: int) -> None:
        """Trust *key* again, unless it was noted after the removal had *begun*."""
        if not self._keys:
            return
        with self._lock.held:
            if self._keys.get(key, begun) < begun:
                del self._keys[key]
