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

from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.redis_clock import RedisClocks
from holdover.regions.backends.redis_link import Refused, accepted
from holdover.regions.backends.redis_records import tick_of
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
        self._newest: dict[str, int] = {}  # the latest tick that we know of a region

    def state(self, region: str, *, since: int) -> ClockState:
        """Read a clock, with its marks from after *since*."""
        floor = self._newest.get(region, 0)
        state = self._whole.state(*home_names(region), since=since, floor=floor)
        self._learn(region, state.tick)
        return state

    def tick(self, region: str) -> int:
        """Read no more of a clock than its tick."""
        name, _ = home_names(region)
        tick = tick_of(accepted(self._routes.ask(("GET", name)))[0])
        if tick is None or tick < self._newest.get(region, 0):
            return self.state(region, since=0).tick
        self._learn(region, tick)
        return tick

    def tick_beside(self, region: str, bucket: int, tick: int | None) -> int:
        """Judge the tick of a copy, mending the copy if it is behind or lost."""
        if tick is None:
            newest = self.state(region, since=0).tick
        else:
            self._learn(region, tick)
            newest = self._newest[region]
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
        floor = self._newest.get(region, 0)
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

    def _learn(self, region: str, tick: int) -> None:
        self._newest[region] = max(self._newest.get(region, 0), tick)

    def _publish(self, region: str, tick: int, buckets: Sequence[int]) -> None:
        record = (b"%d" % tick,)
        calls = [((copy_name(region, bucket),), record) for bucket in buckets]
        try:
            self._atomic.run_many(steps.PUBLISH, calls)
        except Refused:
            # A full node still deletes, and whoever misses a copy asks for the clock.
            self._forget_copies(region, buckets)

    def _forget_copies(self, region: str, buckets: Sequence[int]) -> None:
        forgetting = [("DEL", copy_name(region, bucket)) for bucket in buckets]
        accepted(self._routes.ask(*forgetting))
