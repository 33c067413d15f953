"""The region clock, as one process follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdover.regions.freshness import Standing

if TYPE_CHECKING:
    from holdover.regions.backends.base import Backend, ClockState
    from holdover.regions.envelope import Entry


class RegionClock:
    """Decides what invalidations mean for an entry, asking the backend only if behind.

    Every read brings the clock's tick. While it is the one that this process knows,
    the decision is a comparison; when it has moved, the state is fetched once.
    """

    def __init__(self, backend: Backend, region: str) -> None:
        self._backend = backend
        self._region = region
        self._state: ClockState | None = None

    def standing(self, entry: Entry, tick: int) -> Standing:
        """Say whether *entry*, read together with *tick*, was invalidated since."""
        state = self._state
        # An entry from a later tick than ours: we are behind, or the clock was lost.
        if state is None or tick != state.tick or entry.clock > tick:
            state = self._state = self._backend.clock(self._region)
        if entry.clock < state.hard_floor or entry.clock > state.tick:
            return Standing.HARD
        if entry.clock < state.soft_floor:
            return Standing.SOFT
        return Standing.CURRENT

    def tick(self) -> int:
        """Fetch the tick now, for an entry that is about to be made."""
        return self._backend.clock(self._region).tick

    def tick_at(self, moment: float) -> int:
        """Give the tick that an entry of *moment* (wall clock) had carried.

        For entries whose writer did not know this clock. All invalidations since count,
        but not the clock's own beginning, before which it knew of none.
        """
        state = self._backend.clock(self._region)
        then = min(int(moment * 1e6), state.tick)
        return then if state.was_invalidated else max(then, state.hard_floor)

    def advance(self, *, hard: bool) -> None:
        """Invalidate the whole region, for everyone who shares the backend."""
        self._state = self._backend.advance(self._region, hard=hard)
