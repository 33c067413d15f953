"""The region clocks of `holdover.redis_cluster`.

A region's whole clock is in one bucket: whoever changes it there has invalidated. Each
bucket has a copy of its tick, which is read together with every value. Copies are
brought up to date before an invalidation is acknowledged, and never go back. So a copy
that is behind or lost is mended from the whole clock; and a whole clock that is behind
a copy has lost something, and begins anew above it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.redis_clock import RedisClocks
from holdover.regions.backends.redis_records import NO_CLOCK, copy_record, tick_of
from holdover.regions.backends.redis_replies import Refused, a_list, accepted
from holdover.regions.backends.redis_routes import Routes
from holdover.regions.backends.redis_slots import BUCKETS, copy_name, home_names
from holdover.regions.errors import BackendError
from holdover.regions.ticks import ClockState, Reach


class ClocksInCluster:
    """Reads and advances clocks, and looks after their copies.

    Args:
        routes: The way to the nodes.
        atomic: Carries out what must be atomic.
    """

    def __init__(self, routes: Routes, atomic: steps.Steps) -> None:
        self._routes = routes
        self._atomic = atomic
        self._whole = RedisClocks(routes, atomic)
        # Of each region the latest tick that we know, and what copies of it look like.
        self._newest: dict[str, tuple[object, int]] = {}

    def state(self, region: str, *, since: int) -> ClockState:
        """Read a clock, with its marks from after *since*."""
        _, floor = self._newest.get(region, NO_CLOCK)
        state = self._whole.state(*home_names(region), since=since, floor=floor)
        self._learn(region, state.tick)
        return state

    def tick(self, region: str) -> int:
        """Read no more of a clock than its tick. By MGET: a text, or nothing."""
        name, _ = home_names(region)
        [reply] = accepted(self._routes.ask(("MGET", name)))
        tick = tick_of(a_list(reply, 1)[0])
        if tick is None or tick < self._learn(region, tick):
            return self.state(region, since=0).tick
        return tick

    def tick_beside(self, region: str, bucket: int, copy: Any) -> int:
        """Read the tick of a copy, and mend a copy that is behind or lost."""
        record, newest = self._newest.get(region, NO_CLOCK)
        if copy == record:  # as it is until the next invalidation
            return newest
        tick = tick_of(copy)
        if tick is None:
            newest = self.state(region, since=0).tick
        else:
            newest = self._learn(region, tick)
        if tick != newest:
            # If it cannot be mended, the next who reads it may have more luck.
            with suppress(BackendError):
                self._publish(region, newest, [bucket])
        return newest

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach]
    ) -> ClockState:
        """Invalidate; give the clock's new state.

        Raises:
            BackendError: Not all buckets know of it; those whose node answers do.
        """
        _, floor = self._newest.get(region, NO_CLOCK)
        state = self._whole.advance(
            *home_names(region), hard=hard, reaches=reaches, floor=floor
        )
        if state is None:
            self._forget_copies(region, range(BUCKETS))
            return ClockState.seeded(time.time())
        self._learn(region, state.tick)
        self._publish(region, state.tick, range(BUCKETS))
        return state

    # -- small steps -----------------------------------------------------------

    def _learn(self, region: str, tick: int) -> int:
        """Take note of a tick; give the latest that we know."""
        _, newest = self._newest.get(region, NO_CLOCK)
        if tick > newest:
            self._newest[region] = copy_record(tick), tick
        return max(tick, newest)

    def _publish(self, region: str, tick: int, buckets: Sequence[int]) -> None:
        args = (copy_record(tick), b"%d" % tick)
        calls = [((copy_name(region, bucket),), args) for bucket in buckets]
        try:
            self._atomic.run_many(steps.PUBLISH, calls)
        except Refused:
            # A full node still deletes, and whoever misses a copy asks for the clock.
            self._forget_copies(region, buckets)

    def _forget_copies(self, region: str, buckets: Sequence[int]) -> None:
        forgetting = [("DEL", copy_name(region, bucket)) for bucket in buckets]
        accepted(self._routes.ask(*forgetting))
