"""Removals that a failing backend has not heard of yet."""

from __future__ import annotations

from holdover.regions.forks import ForkSafeLock

WHOLE_REGION = None
"""Stands for every key of the region."""

_MOST = 10_000


class Undelivered:
    """The keys whose stored values this process must not trust.

    Bounded: beyond ten thousand keys, the whole region is distrusted instead.
    """

    def __init__(self) -> None:
        self._keys: set[str | None] = set()
        self._lock = ForkSafeLock()  # guards changes of _keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def concerning(self, key: str) -> list[str | None]:
        """Give what must be delivered before *key* can be trusted."""
        return [one for one in (WHOLE_REGION, key) if one in self._keys]

    def remember(self, key: str | None) -> None:
        """Distrust *key* until it is delivered."""
        with self._lock:
            self._keys.add(key)
            if len(self._keys) > _MOST:
                self._keys = {WHOLE_REGION}

    def delivered(self, key: str | None) -> None:
        """Trust *key* again."""
        with self._lock:
            self._keys.discard(key)
