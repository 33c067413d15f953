"""The region clock, as one process follows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdover.regions.freshness import Standing
from holdover.regions.keys import may_begin_with
from holdover.regions.ticks import EPOCH_MASK, Reach, Scope

if TYPE_CHECKING:
    from holdover.regions.backends.base import Backend
    from holdover.regions.envelope import Entry
    from holdover.regions.ticks import ClockState


class RegionClock:
    """Decides what invalidations mean for an entry, asking the backend only if behind.

    Every read brings the clock's tick. While it is the one that this process knows,
    the decision is a comparison or two; when it has moved, what is new is fetched once.

    Attributes:
        seen: The tick that the backend has told last; 0 if none.
    """

    def __init__(self, backend: Backend, region: str) -> None:
        self._backend = backend
        self._region = region
        self._view: _View | None = None
        self.seen = 0

    def standing(self, entry: Entry, key: str, tick: int) -> Standing:
        """Say whether *entry*, read together with *tick*, was invalidated since."""
        view = self._view
        if view is not None and entry.clock == tick == view.tick:
            return Standing.CURRENT  # as nearly always
        # An entry from a later tick than ours: we are behind, or the clock was lost.
        if view is None or tick != view.tick or entry.clock > tick:
            view = self._catch_up()
        return view.standing(entry, key)

    def tick(self) -> int:
        """Fetch the tick now, for an entry that is about to be made."""
        since = self._view.state.tick if self._view else 0
        self.seen = self._backend.tick(self._region, since=since)
        return self.seen

    def tick_at(self, moment: float) -> int:
        """Give the tick that an entry of *moment* (wall clock) had carried.

        For entries whose writer did not know this clock. All invalidations since count,
        but not the clock's own beginning, before which it knew of none.
        """
        return (self._view or self._catch_up()).state.tick_at(moment)

    def advance(self, *, hard: bool, reaches: Sequence[Reach] = ()) -> None:
        """Invalidate the region, or parts of it, for all who share the backend."""
        self._backend.advance(self._region, hard=hard, reaches=reaches)

    def _catch_up(self) -> _View:
        known = self._view
        if known is None:
            state = self._backend.clock(self._region)
        else:
            newer = self._backend.clock(self._region, since=known.state.tick)
            # Of another epoch, it knows nothing of what we do.
            state = (
                newer if known.is_foreign_to(newer) else newer.following(known.state)
            )
        self._view = view = _View(state)
        self.seen = state.tick
        return view


class _View:
    """A clock's state, with its marks arranged for looking up. Never changed."""

    __slots__ = ("_newest_mark", "_prefixes", "_tags", "state", "tick")

    def __init__(self, state: ClockState) -> None:
        self.state = state
        self.tick = state.tick
        self._newest_mark = max(state.marks.values(), default=0)
        self._tags: dict[tuple[str, bool], int] = {}
        self._prefixes: dict[bool, list[tuple[str, int]]] = defaultdict(list)
        for mark, tick in state.marks.items():
            if mark.reach.scope is Scope.TAG:
                self._tags[mark.reach.name, mark.hard] = tick
            else:
                self._prefixes[mark.hard].append((mark.reach.name, tick))

    def is_foreign_to(self, state: ClockState) -> bool:
        """Say whether *state* is of another epoch of the clock."""
        return bool((self.state.tick ^ state.tick) & EPOCH_MASK)

    def standing(self, entry: Entry, key: str) -> Standing:
        """Say what the clock says of *entry*, stored under *key*."""
        state, clock = self.state, entry.clock
        if clock == state.tick:
            return Standing.CURRENT
        of_another_epoch = (clock ^ state.tick) & EPOCH_MASK
        if of_another_epoch or not state.hard_floor <= clock <= state.tick:
            return Standing.HARD
        marked = clock < self._newest_mark
        if marked and self._is_marked(entry, key, hard=True):
            return Standing.HARD
        soft = clock < state.soft_floor
        if soft or (marked and self._is_marked(entry, key, hard=False)):
            return Standing.SOFT
        return Standing.CURRENT

    def _is_marked(self, entry: Entry, key: str, *, hard: bool) -> bool:
        clock = entry.clock
        if any(self._tags.get((tag, hard), 0) > clock for tag in entry.tags):
            return True
        return any(
            tick > clock and may_begin_with(key, prefix)
            for prefix, tick in self._prefixes.get(hard, ())
        )
