"""Which calls a region is asked for most, as the processes tell each other.

A process counts a sample of its calls, and joins its counts to the common record behind
its callers' backs and ever more rarely; so a hit pays for the drawing of a lot.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from contextlib import suppress

from holdover.regions import events
from holdover.regions.background import Pool
from holdover.regions.calls import Call
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork
from holdover.regions.freshness import Freshness
from holdover.regions.heat import NO_HEAT, Heat, text_of
from holdover.regions.keys import Reserved
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Found
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource
from holdover.regions.tops import TopCounts
from holdover.regions.warmth import HotCall

SAMPLED = 32  # one of so many calls is counted, on average
_LOTS = 8191  # prime, so that no loop of the caller's keeps step with them
_COUNTED_PER_WANTED = 4
_FEWEST_COUNTED = 256
_FIRST_JOIN, _LONGEST_PAUSE = 1.0, 30.0  # seconds
_SWAPS = 10  # tries against others who join theirs
_KEPT = Lifetime(expiration_time=None)


class HotRecord:
    """The common record of one region.

    Args:
        tier: Where it is kept.
        region: The region's name as keys begin with it.
        most: How many calls it is to tell of.
    """

    def __init__(self, tier: Tier, region: str, most: int) -> None:
        self._tier = tier
        self._key = Reserved.HOT.key(region)
        self.most = most

    def join(self, weights: dict[str, float]) -> None:
        """Add weights to the calls, which are given by their texts.

        Raises:
            BackendError: The store cannot be reached, or refused the record.
        """
        for _ in range(_SWAPS):
            found, heat = self._look()
            newer = heat.joined(weights, self._tier.now(), self.most)
            entry = self._tier.entry(newer.to_plain(), _KEPT, clock=self._tier.tick())
            if self._tier.swap(self._key, found.entry, entry):
                return
        raise BackendError("the record of hot calls kept changing")

    def calls(self) -> list[HotCall]:
        """Give the calls that are asked for most, hottest first.

        Raises:
            BackendError: The store cannot be reached.
        """
        _, heat = self._look()
        return list(heat.calls(self.most))

    def _look(self) -> tuple[Found, Heat]:
        found = self._tier.look(self._key, _KEPT, strict=True)
        if found.freshness is Freshness.GONE:
            return found, NO_HEAT
        heat = Heat.from_plain(found.entry.value)
        if heat is None:
            self._tier.tell(events.Unreadable, self._key, "no record of hot calls")
        return found, heat or NO_HEAT


class HotCalls:
    """Counts, in this process, what one region is asked for.

    Args:
        record: The common record.
        time_source: The clocks to go by.
    """

    def __init__(self, record: HotRecord, time_source: TimeSource) -> None:
        self._record = record
        self._time = time_source
        self._capacity = max(_FEWEST_COUNTED, _COUNTED_PER_WANTED * record.most)
        self._pool = Pool("holdover-hot", threads=1, backlog=1)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin with no counts: what was counted before is the parent's."""
        self._lock = threading.Lock()  # guards all below
        self._forget()
        self._pause = _FIRST_JOIN
        self._joins_at = self._time.steady() + self._pause

    def noting(self) -> Callable[[Call], None]:
        """Make what is told of every call."""
        dice = random.Random()  # noqa: S311 - no secret
        lots = [dice.random() < 1 / SAMPLED for _ in range(_LOTS)]
        draw, take = itertools.cycle(lots).__next__, self._take

        def note(call: Call) -> None:
            if draw():
                take(call)

        return note

    def join(self) -> None:
        """Join this process's counts to the common record.

        Raises:
            BackendError: The store cannot be reached; the counts are lost.
        """
        with self._lock:
            weights = {
                self._texts[one.key]: float(one.certain * SAMPLED)
                for one in self._counts.counted()
            }
            self._forget()
        if weights:
            self._record.join(weights)

    def calls(self) -> list[HotCall]:
        """Give the calls that all processes are asked for most, hottest first.

        Raises:
            BackendError: The store cannot be reached.
        """
        self.join()
        return self._record.calls()

    def _take(self, call: Call) -> None:
        """Count a call that was drawn, if it can be made again from a record."""
        text = self._texts.get(call.key) or _text_of(call)
        if text is None:
            return
        with self._lock:
            forgotten = self._counts.add(call.key)
            if forgotten is not None:
                del self._texts[forgotten]
            self._texts[call.key] = text
            if self._time.steady() < self._joins_at:
                return
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            # Processes that were started together are not to join together.
            pause = self._pause * random.uniform(0.75, 1.25)  # noqa: S311
            self._joins_at = self._time.steady() + pause
        self._pool.submit(self._join_in_the_background)

    def _join_in_the_background(self) -> None:
        with suppress(BackendError):  # which was told of; there will be more to count
            self.join()

    def _forget(self) -> None:
        self._counts: TopCounts[str] = TopCounts(self._capacity)
        self._texts: dict[str, str] = {}


def _text_of(call: Call) -> str | None:
    described = None if call.order is None else call.order()
    if described is None:
        return None
    function, args, kwargs, _ = described
    return text_of(function, args, kwargs)
