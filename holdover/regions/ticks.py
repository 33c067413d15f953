"""The region clock as a value: a counter of invalidations, and what they reach."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from holdover.regions.values import frozen

MOST_MARKS = 1000
"""How many tags and prefixes a clock tells apart before it forgets the oldest."""

EPOCH_MASK = 1023
"""The lowest bits of every tick name the clock's epoch, drawn when it was seeded."""

MOST_TICK = 1 << 62
"""What every tick is below: millennia ahead, and with room in columns and envelopes."""

DAMAGE = (ValueError, TypeError, RecursionError)
"""What is raised by reading a clock from bytes that anybody may have written."""


class Scope(enum.Enum):
    """By what an invalidation chooses entries."""

    TAG = "tag"
    PREFIX = "prefix"


@frozen
class Reach:
    """The entries that an invalidation reaches: those of a tag, or of a prefix."""

    scope: Scope
    name: str


@frozen
class Mark:
    """An invalidation that reaches a part of the region, hard or soft."""

    reach: Reach
    hard: bool


@frozen(kw_only=True)
class ClockState:
    """A region's clock.

    A tick is the time in microseconds, pushed on where time stands still or goes back;
    its lowest bits name the clock's epoch, so that entries from before the clock was
    lost are told apart even if time has gone back meanwhile.

    Attributes:
        tick: That of the last invalidation.
        hard_floor: Entries whose creator started before this tick are gone.
        soft_floor: Entries whose creator started before this tick have expired.
        marks: The last tick of each mark: what holds for its entries only.
    """

    tick: int
    hard_floor: int
    soft_floor: int
    marks: Mapping[Mark, int] = field(default_factory=dict)

    @classmethod
    def seeded(cls, now: float, *, epoch: int | None = None) -> ClockState:
        """Begin anew, as when the clock was lost: all that is older is gone.

        Its soft floor, far below, tells a beginning from an invalidation.
        """
        tick = _at(now, new_epoch() if epoch is None else epoch)
        return cls(tick=tick, hard_floor=tick, soft_floor=0)

    @classmethod
    def read(cls, ticks: Sequence[object], listed: Any) -> ClockState:
        """Make one of what lay in a store, which anybody may have written.

        Args:
            ticks: The clock's own, the hard floor's and the soft one's.
            listed: What `listed` has given.

        Raises:
            DAMAGE: They are no clock's.
        """
        tick, hard_floor, soft_floor = map(_sound, ticks)
        if tick == 0:
            raise ValueError("a clock that was never begun")
        marks = {
            Mark(Reach(Scope(scope), _text(name)), hard is True): _sound(at)
            for scope, name, hard, at in listed
        }
        return cls(tick=tick, hard_floor=hard_floor, soft_floor=soft_floor, marks=marks)

    def listed(self) -> list[list[Any]]:
        """Give its marks as JSON has them."""
        return [
            [mark.reach.scope.value, mark.reach.name, mark.hard, tick]
            for mark, tick in self.marks.items()
        ]

    @property
    def was_invalidated(self) -> bool:
        """Whether a floor is that of an invalidation, and not of the beginning."""
        return self.soft_floor >= self.hard_floor

    def tick_at(self, moment: float) -> int:
        """Give the tick that an entry of *moment* (wall clock) had carried."""
        then = min(_at(moment, self.tick & EPOCH_MASK), self.tick)
        return then if self.was_invalidated else max(then, self.hard_floor)

    def advanced(
        self, now: float, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """Give the state after one more invalidation at *now* (wall clock)."""
        tick = max(self.tick + EPOCH_MASK + 1, _at(now, self.tick & EPOCH_MASK))
        if not reaches:
            hard_floor = tick if hard else self.hard_floor
            return self._pruned(tick, hard_floor, tick, self.marks)
        marks = {**self.marks, **{Mark(reach, hard): tick for reach in reaches}}
        return self._pruned(tick, self.hard_floor, self.soft_floor, marks)

    def following(self, older: ClockState) -> ClockState:
        """Give this state with the marks that *older* knew besides."""
        marks = {**older.marks, **self.marks}
        return self._pruned(self.tick, self.hard_floor, self.soft_floor, marks)

    def without_marks(self) -> ClockState:
        """Give a smaller state that reaches no fewer entries."""
        return self._pruned(
            self.tick,
            max([self.hard_floor, *self._ticks(hard=True)]),
            max([self.soft_floor, *self._ticks(hard=False)]),
            {},
        )

    def _ticks(self, *, hard: bool) -> list[int]:
        return [tick for mark, tick in self.marks.items() if mark.hard is hard]

    def _pruned(
        self, tick: int, hard_floor: int, soft_floor: int, marks: Mapping[Mark, int]
    ) -> ClockState:
        """Forget the oldest marks, raising a floor for each, and those below one."""
        by_age = sorted(marks.items(), key=lambda item: item[1])
        surplus = max(0, len(by_age) - MOST_MARKS)
        for mark, at in by_age[:surplus]:
            hard_floor = max(hard_floor, at) if mark.hard else hard_floor
            soft_floor = max(soft_floor, at)
        kept = {
            mark: at
            for mark, at in by_age[surplus:]
            if at > (hard_floor if mark.hard else soft_floor)
        }
        return ClockState(
            tick=tick, hard_floor=hard_floor, soft_floor=soft_floor, marks=kept
        )


def sound_tick(found: object) -> int | None:
    """Give what should be a clock's tick; None if it is not."""
    return found if type(found) is int and 0 < found < MOST_TICK else None


def _sound(found: object) -> int:
    if type(found) is not int or not 0 <= found < MOST_TICK:
        raise ValueError(f"a tick was wanted, got {found!r:.40}")
    return found


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError(f"a name was wanted, got {found!r:.40}")
    return found


def new_epoch() -> int:
    """Draw the name of a clock's epoch."""
    return secrets.randbits(EPOCH_MASK.bit_length())


def _at(now: float, epoch: int) -> int:
    return int(now * 1e6) & ~EPOCH_MASK | epoch
