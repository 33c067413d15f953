"""The region clocks of `holdover.redis`: a short text each, and marks beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.redis_link import Link, Refused, accepted
from holdover.regions.backends.redis_records import mark_record, state_of, tick_of
from holdover.regions.errors import BackendError
from holdover.regions.ticks import ClockState, Mark, Reach, new_epoch

_MOST_TRIES = 10  # while others lose, make or advance the clock at the same time


class RedisClocks:
    """Reads and advances clocks, making those that are new or were lost.

    Args:
        link: The way to the server.
        atomic: Carries out what must be atomic.
    """

    def __init__(self, link: Link, atomic: steps.Steps) -> None:
        self._link = link
        self._atomic = atomic

    def state(self, name: bytes, marks: bytes, *, since: int) -> ClockState:
        """Read a clock, with its marks from after *since*."""
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
            if state is not None:
                return state
            if attempt:  # not lost but damaged, or of another type
                self._forget(name, marks)
            self._atomic.run(steps.SEED, (name, marks), epoch())
        raise BackendError(f"the region clock {name!r:.80} keeps changing")

    def advance(
        self, name: bytes, marks: bytes, *, hard: bool, reaches: Sequence[Reach]
    ) -> ClockState:
        """Invalidate; give the clock's new state."""
        members = [mark_record(Mark(reach, hard)) for reach in reaches]
        try:
            found = self._atomic.run(
                steps.ADVANCE, (name, marks), epoch(), b"1" if hard else b"0", *members
            )
        except Refused:
            # A full server. It still deletes, and without its clock all is gone.
            self._forget(name, marks)
            return ClockState.seeded(time.time())
        state = state_of(*found) if isinstance(found, list) else None
        if state is None:  # what was there was damaged
            self._forget(name, marks)
            return ClockState.seeded(time.time())
        return state

    def _forget(self, name: bytes, marks: bytes) -> None:
        accepted(self._link.ask(("DEL", name, marks)))


def epoch() -> bytes:
    """Draw the epoch of a clock that may have to be made."""
    return b"%d" % new_epoch()
