"""Waiting for those who create elsewhere, without asking the backend too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdover.regions.envelope import Entry
    from holdover.regions.timesource import TimeSource

_SHORTEST_POLL = 0.002
_LONGEST_POLL = 0.006
_LONGEST_EARLY_POLL = 0.1
_POLL_GROWTH = 1.5
_REMEMBER_FOR = 1.0
_MOST_REMEMBERED = 10_000


class Polls:
    """How long to pause before asking again whether another process is done.

    2 ms at first, growing while its end is near; longer before that, if the cost of
    the last creation says that it is not.

    Attributes:
        waited: Seconds of all pauses so far.
    """

    __slots__ = ("_cost", "_pause", "waited")

    def __init__(self, cost: float) -> None:
        self._cost = cost
        self._pause = _SHORTEST_POLL
        self.waited = 0.0

    def next_pause(self, most: float) -> float:
        """Give the next pause, at most *most* seconds."""
        still = self._cost - self.waited
        if still > 2 * _LONGEST_POLL:
            pause = min(still / 2, _LONGEST_EARLY_POLL)
        else:
            pause = self._pause
            self._pause = min(self._pause * _POLL_GROWTH, _LONGEST_POLL)
        pause = max(_SHORTEST_POLL, min(pause, most))
        self.waited += pause
        return pause


class TakenLeases:
    """What a process remembers of leases that others hold.

    This is what lets a stale herd pay for one read each and nothing else.
    """

    def __init__(self, time_source: TimeSource) -> None:
        self._time = time_source
        self._taken: dict[str, tuple[float, int]] = {}  # key -> until when, over what

    def knows(self, key: str, entry: Entry) -> bool:
        """Say whether the lease to replace *entry* is known to be taken."""
        until, fence = self._taken.get(key, (0.0, 0))
        return fence == entry.fence and until > self._time.steady()

    def remember(self, key: str, entry: Entry, expires_in: float) -> None:
        """Note that it is taken; for a second at most, since it may be released."""
        if len(self._taken) >= _MOST_REMEMBERED:
            self._taken.clear()
        until = self._time.steady() + min(expires_in, _REMEMBER_FOR)
        self._taken[key] = (until, entry.fence)

    def forget(self, key: str) -> None:
        """Note that it was released here, so that the next who asks may have it."""
        self._taken.pop(key, None)
