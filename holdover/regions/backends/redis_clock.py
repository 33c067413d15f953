"""The region clocks of `holdover.redis`: a short text each, and marks beside it."""

from __future__ import annotations

from collections.abc import Sequence

from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.redis_conversation import Way
from holdover.regions.backends.redis_records import mark_record, state_of, tick_of
from holdover.regions.backends.redis_replies import Refused, accepted
from holdover.regions.errors import BackendError
from holdover.regions.ticks import ClockState, Mark, Reach, new_epoch

_MOST_TRIES = 10  # while others lose, make or advance the clock at the same time


class RedisClocks:
    """Reads and advances clocks, making those that are new or were lost.

    Args:
        link: The way to the server.
        atomic: Carries out what must be atomic.
    """

    def __init__(self, link: Way, atomic: steps.Steps) -> None:
        self._link = link
        self._atomic = atomic

    def state(
        self, name: bytes, marks: bytes, *, since: int, floor: int = 0
    ) -> ClockState:
        """Read a clock, with its marks from after *since*.

        One that is older than *floor* was lost in part, and begins anew.
        """
        for attempt in range(_MOST_TRIES):
            # Not by MULTI, in which a full server refuses even to read. What is the
            # same before and after is one state, since every change moves the tick.
            before, listed, has_marks, after = self._link.ask(
                ("GET", name),
                ("ZRANGEBYSCORE", marks, b"(%d" % since, "+inf", "WITHSCORES"),
                ("EXISTS", marks),
                ("GET", name),
            )
            if tick_of(before) != tick_of(after):
                continue
            state = state_of(before, has_marks, listed)
            if state is not None and state.tick >= floor:
                return state
            if attempt:  # not lost but damaged, or of another type
                self.forget(name, marks)
            self._atomic.run(steps.SEED, (name, marks), epoch(), b"%d" % floor)
        raise BackendError(f"the region clock {name!r:.80} keeps changing")

    def advance(
        self,
        name: bytes,
        marks: bytes,
        *,
        hard: bool,
        reaches: Sequence[Reach],
        floor: int = 0,
    ) -> ClockState | None:
        """Invalidate; give the clock's new state.

        Returns:
            None if the clock could only be forgotten, with which all is gone, too.
        """
        members = [mark_record(Mark(reach, hard)) for reach in reaches]
        rules = (epoch(), b"%d" % floor, b"1" if hard else b"0")
        try:
            found = self._atomic.run(steps.ADVANCE, (name, marks), *rules, *members)
        except Refused:  # by a full server, which still deletes
            found = None
        state = state_of(*found) if isinstance(found, list) else None
        if state is None:  # or what was there was damaged
            self.forget(name, marks)
        return state

    def forget(self, name: bytes, marks: bytes) -> None:
        """Remove a clock."""
        accepted(self._link.ask(("DEL", name, marks)))


def epoch() -> bytes:
    """Draw the epoch of a clock that may have to be made."""
    return b"%d" % new_epoch()
