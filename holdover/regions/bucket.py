"""A token bucket: so many in the long run, and a few more at once."""

from __future__ import annotations

from holdover.regions.forks import ForkSafeLock
from holdover.regions.lifetime import OrderTerms
from holdover.regions.timesource import TimeSource


class Bucket:
    """Says how much may be done now; each process has its own, which begins full.

    Args:
        terms: How fast it fills, and how much it holds.
        time_source: The clock to go by.
    """

    def __init__(self, terms: OrderTerms, time_source: TimeSource) -> None:
        self._per_second = terms.per_second
        self._size = float(terms.burst or max(1.0, terms.per_second or 0.0))
        self._time = time_source
        self._lock = ForkSafeLock()  # guards the two below
        self._held = self._size
        self._filled_at = time_source.steady()

    def take(self, most: int) -> int:
        """Take as much as there is, up to *most*; give how much that was."""
        if self._per_second is None:
            return most
        with self._lock.held:
            self._fill(self._per_second)
            taken = min(most, int(self._held))
            self._held -= taken
            return taken

    def put_back(self, count: int) -> None:
        """Give back what was not needed."""
        if self._per_second is not None and count:
            with self._lock.held:
                self._held = min(self._size, self._held + count)

    def _fill(self, per_second: float) -> None:
        now = self._time.steady()
        self._held += max(0.0, now - self._filled_at) * per_second
        self._held = min(self._size, self._held)
        self._filled_at = now
