"""The region clocks of `holdover.sql`: a row each, changed only as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from holdover.regions.backends.sql_records import clock_record, clock_state
from holdover.regions.backends.sql_statements import Statement, Statements
from holdover.regions.errors import BackendError
from holdover.regions.ticks import ClockState, Reach

_MOST_TRIES = 200  # while others make or advance the clock at the same time


class Speaker(Protocol):
    """What runs statements: the backend's own link, or a caller's connection."""

    def ask(self, statement: Statement, **given: Any) -> Any:
        """Give the first row, or None."""

    def change(self, statement: Statement, **given: Any) -> int:
        """Give the number of rows that were changed."""


def read_clock(speaker: Speaker, words: Statements, clock: bytes) -> ClockState:
    """Read a clock, making it if it is new, lost or damaged."""
    for _ in range(_MOST_TRIES):
        row = speaker.ask(words.clock, clock=clock)
        state = row and clock_state(row[0], row[1])
        if state:
            return state
        _begin(speaker, words, clock, row)
    raise _changing(clock)


def advance_clock(
    speaker: Speaker,
    words: Statements,
    clock: bytes,
    *,
    hard: bool,
    reaches: Sequence[Reach],
    query: Statement,
) -> ClockState:
    """Invalidate; give the clock's new state. *query* reads the clock."""
    for _ in range(_MOST_TRIES):
        row = speaker.ask(query, clock=clock)
        state = row and clock_state(row[0], row[1])
        if not state:
            _begin(speaker, words, clock, row)
            continue
        newer = state.advanced(float(row[2]), hard=hard, reaches=reaches)
        if _moved(speaker, words, clock, state.tick, newer):
            return newer
    raise _changing(clock)


def _begin(speaker: Speaker, words: Statements, clock: bytes, row: Any) -> None:
    """Make a clock, in place of a damaged one, unless somebody else is quicker."""
    seeded = ClockState.seeded(float(speaker.ask(words.now)[0]))
    if row is not None:
        speaker.change(words.lose_clock, clock=clock, before=row[0])
    record = clock_record(seeded)
    speaker.change(words.begin_clock, clock=clock, record=record, tick=seeded.tick)


def _moved(
    speaker: Speaker, words: Statements, clock: bytes, before: int, state: ClockState
) -> bool:
    done = speaker.change(
        words.move_clock,
        clock=clock,
        record=clock_record(state),
        tick=state.tick,
        before=before,
    )
    return done == 1


def _changing(clock: bytes) -> BackendError:
    return BackendError(f"the region clock {clock!r:.80} keeps changing")
