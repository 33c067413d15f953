"""Leaving alone, for a while, what has just failed several times."""

from __future__ import annotations

from holdover.regions.counters import Outage
from holdover.regions.forks import ForkSafeLock
from holdover.regions.timesource import SYSTEM_TIME, TimeSource


class Breaker:
    """Opens after some failures in a row; lets one probe through after a pause.

    The pause doubles with every failed probe, up to *longest* seconds.

    Args:
        failures: How many in a row it takes.
        pause: Seconds after which it is tried again, at first.
        longest: Seconds after which it is tried again at the latest.
        outage: Counts the time in which it is open.
        time_source: The clocks to go by.

    Attributes:
        failures: How many there were in a row; with none there is nothing to ask it
            before, or to tell it after what succeeds.
    """

    def __init__(
        self,
        *,
        failures: int = 3,
        pause: float = 1.0,
        longest: float = 30.0,
        outage: Outage | None = None,
        time_source: TimeSource = SYSTEM_TIME,
    ) -> None:
        self._limit = failures
        self._first_pause = pause
        self._longest = longest
        self._outage = outage
        self._time = time_source
        self._lock = ForkSafeLock()  # guards all below
        self.failures = 0
        self._pause = pause
        self._probe_at = 0.0
        self._probing = False

    def allows(self) -> bool:
        """Say whether to try; when open, True for one caller per pause."""
        if self.failures < self._limit:
            return True
        with self._lock.held:
            now = self._time.steady()
            if now < self._probe_at:
                return False
            self._probing = True
            self._probe_at = now + self._pause
            return True

    def succeeded(self) -> None:
        """Close: all is well again."""
        if self.failures:
            with self._lock.held:
                if self._outage is not None and self.failures >= self._limit:
                    self._outage.end()
                self.failures = 0
                self._probing = False
                self._pause = self._first_pause

    def failed(self) -> None:
        """Count a failure, and open if that was one too many."""
        with self._lock.held:
            if self.failures >= self._limit and not self._probing:
                return  # it was under way when others found out
            if self._probing:
                self._pause = min(self._pause * 2, self._longest)
            self._probing = False
            was_open = self.failures >= self._limit
            self.failures = min(self.failures + 1, self._limit)
            if self.failures >= self._limit:
                if self._outage is not None and not was_open:
                    self._outage.begin()
                self._probe_at = self._time.steady() + self._pause
