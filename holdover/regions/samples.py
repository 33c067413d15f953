"""Counting how long things took, as a histogram that is being made."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0, 3600.0, 86400.0)
"""Upper bounds of a histogram's buckets, in seconds; one more has none."""

BUCKETS = len(BOUNDS) + 1


class Samples:
    """A histogram that is being made; one thread at a time may add to it."""

    __slots__ = ("_buckets", "_count", "_max", "_sum")

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._max = 0.0
        self._buckets = [0] * BUCKETS

    def add(self, seconds: float) -> None:
        """Add one; less than nothing, as of a clock that was set, counts as nothing."""
        seconds = max(0.0, seconds)
        self._count += 1
        self._sum += seconds
        self._max = max(self._max, seconds)
        self._buckets[bisect_left(BOUNDS, seconds)] += 1

    def totals(self) -> tuple[int, float, float, tuple[int, ...]]:
        """Give what has been added so far: what a `Histogram` is made of."""
        return self._count, self._sum, self._max, tuple(self._buckets)
