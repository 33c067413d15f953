"""Which keys somebody still asks for, as the processes tell each other.

A process notes in the backend that a key was read, behind the reader's back and at most
a few times in the span that matters; so a hit pays for one lookup in a dictionary.
"""

from __future__ import annotations

from functools import partial

from holdover.regions.background import Pool
from holdover.regions.errors import BackendError
from holdover.regions.freshness import Freshness
from holdover.regions.keys import Reserved
from holdover.regions.lifetime import Lifetime
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource

_NOTES_PER_SPAN = 4
_MOST_REMEMBERED = 100_000
_NOTE_LIFETIME = Lifetime(expiration_time=None)


class Readers:
    """Knows of one region's keys whether anybody in the fleet has read them of late.

    Args:
        tier: The region's entries.
        span: Seconds after which nobody has.
        time_source: The clocks to go by.
    """

    def __init__(self, tier: Tier, span: float, time_source: TimeSource) -> None:
        self._tier = tier
        self._span = span
        self._every = span / _NOTES_PER_SPAN
        self._kept = Lifetime(expiration_time=span + self._every, keep_for=0.0)
        self._time = time_source
        self._noted_until: dict[str, float] = {}
        self._pool = Pool("holdover-readers", threads=1, backlog=10_000)

    def note(self, key: str) -> None:
        """Note that *key* was read just now."""
        now = self._time.steady()
        if now < self._noted_until.get(key, 0.0):
            return
        if len(self._noted_until) >= _MOST_REMEMBERED:
            self._noted_until.clear()
        if self._pool.submit(partial(self._write, key)):
            self._noted_until[key] = now + self._every

    def are_there(self, key: str, read_at: float) -> bool:
        """Say whether *key* was read of late; yes if the backend cannot tell.

        Args:
            key: The key.
            read_at: When it was read at least (wall clock).
        """
        if self._time.wall() - read_at <= self._span:
            return True
        try:
            found = self._tier.look(
                Reserved.READERS.key(key), _NOTE_LIFETIME, strict=True
            )
        except BackendError:
            return True
        # A process writes its note again only after a while, for which it counts.
        age = self._time.wall() - found.entry.created_at
        return found.freshness is not Freshness.GONE and age <= self._span + self._every

    def _write(self, key: str) -> None:
        note = self._tier.entry(True, self._kept, clock=self._tier.tick())  # noqa: FBT003
        self._tier.store(Reserved.READERS.key(key), note)
