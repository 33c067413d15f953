"""Where the time comes from, so that a test can bring its own."""

from __future__ import annotations

import time
from functools import partial
from typing import Protocol

from holdover.regions.errors import ConfigurationError


class TimeSource(Protocol):
    """Two clocks, both in seconds, and the one way in which Holdover waits."""

    def wall(self) -> float:
        """Give the time of day, for stamps that others read (``time.time``)."""

    def steady(self) -> float:
        """Give a time that no one can set, for leases and waits on this host."""

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""


class SystemTime:
    """The clocks of this host.

    The steady clock also counts while the machine is suspended, and all processes of
    one boot share it (``CLOCK_BOOTTIME``), so that a lease record can carry it.
    """

    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)

    if hasattr(time, "CLOCK_BOOTTIME"):
        # A function of Python's own would take twice as long.
        steady = staticmethod(partial(time.clock_gettime, time.CLOCK_BOOTTIME))
    else:  # pragma: no cover - other systems than Linux
        steady = staticmethod(time.monotonic)


SYSTEM_TIME = SystemTime()
_STEPS = ("wall", "steady", "sleep")


def checked_time_source(given: TimeSource) -> TimeSource:
    """Give what was given, if it is a `TimeSource`.

    Raises:
        ConfigurationError: It says what was wanted, and what was found.
    """
    if not all(callable(getattr(given, name, None)) for name in _STEPS):
        raise ConfigurationError(
            f"time_source must have {', '.join(f'{name}()' for name in _STEPS)}, got "
            f"{given!r:.80}"
        )
    return given
