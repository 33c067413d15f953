"""Leaving keys alone for a while, after something was in vain."""

from __future__ import annotations

import time
from collections.abc import Hashable

_MOST_REMEMBERED = 1000  # keys that are left alone


class Pauses:
    """Keys that are left alone for a while, in this process.

    Changed by single steps of a dict only, so that there is no lock to be caught by a
    fork.
    """

    def __init__(self) -> None:
        self._until: dict[Hashable, float] = {}

    def begin(self, key: Hashable, span: float) -> None:
        """Leave a key alone for *span* seconds from now on."""
        if len(self._until) >= _MOST_REMEMBERED:
            self._until.clear()
        self._until[key] = time.monotonic() + span

    def __contains__(self, key: Hashable) -> bool:
        return time.monotonic() < self._until.get(key, 0.0)
