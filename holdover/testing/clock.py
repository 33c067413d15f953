"""A clock that a test moves."""

from __future__ import annotations

import threading


class FakeClock:
    """Time that stands still until it is told to pass.

    Give it to a region (``Region(time_source=clock)``) and to its backend
    (``arguments={"time_source": clock}``).

    Args:
        now: Where the wall clock starts, in seconds since 1970.
    """

    def __init__(self, now: float = 1_000_000_000.0) -> None:
        self._lock = threading.Lock()  # guards both
        self._wall = now
        self._steady = 1_000.0

    def wall(self) -> float:
        """See `TimeSource.wall`."""
        return self._wall

    def steady(self) -> float:
        """See `TimeSource.steady`."""
        return self._steady

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, on both clocks."""
        with self._lock:
            self._wall += seconds
            self._steady += seconds

    def set_wall(self, now: float) -> None:
        """Set the wall clock, as an administrator or NTP would."""
        with self._lock:
            self._wall = now
