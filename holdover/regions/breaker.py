"""Leaving alone, for a while, what has just failed several times."""

from __future__ import annotations

import threading

from holdover.regions.timesource import SYSTEM_TIME, TimeSource


class Breaker:
    """Opens after some failures in a row; lets one probe through after a pause.

    The pause doubles with every failed probe, up to *longest* seconds.
    """

    def __init__(
        self,
        *,
        failures: int = 3,
        pause: float = 1.0,
        longest: float = 30.0,
        time_source: TimeSource = SYSTEM_TIME,
    ) -> None:
        self._limit = failures
        self._first_pause = pause
        self._longest = longest
        self._time = time_source
        self._lock = threading.Lock()  # guards all below
        self._failures = 0
        self._pause = pause
        self._probe_at = 0.0

    def allows(self) -> bool:
        """Say whether to try; when open, True for one caller per pause."""
        if self._failures < self._limit:
            return True
        with self._lock:
            now = self._time.steady()
            if now < self._probe_at:
                return False
            self._probe_at = now + self._pause
            return True

    def succeeded(self) -> None:
        """Close: all is well again."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._pause = self._first_pause

    def failed(self) -> None:
        """Count a failure, and open if that was one too many."""
        with self._lock:
            self._failures += 1
            if self._failures < self._limit:
                return
            if self._failures > self._limit:
                self._pause = min(self._pause * 2, self._longest)
            self._probe_at = self._time.steady() + self._pause
