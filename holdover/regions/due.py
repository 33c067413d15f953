"""When schedules are due: pure decisions about the time of day.

A *slot* is one due time. Whoever asks, on whatever host, gets the same slots, so that
several schedulers can agree on who takes which.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Protocol

from holdover.regions.errors import InvalidLifetime
from holdover.regions.lifetime import seconds

ANY_MINUTE = "*"
_MINUTE = 60.0
_HOUR = 3600.0
_SHORTEST = 0.001  # seconds; a float of the wall clock tells no much shorter ones apart
_LONGEST = 1e10  # seconds; three hundred years


class Due(Protocol):
    """When something is due. Instants are seconds of the wall clock.

    Attributes:
        is_due_when_new: Whether the slot before it was first heard of counts, so that
            it begins at once.
    """

    @property
    def is_due_when_new(self) -> bool:
        """See above."""

    def latest(self, now: float) -> float:
        """Give the newest slot that is due at *now*; ``-inf`` if none ever was."""

    def next_after(self, now: float) -> float:
        """Give when the next slot comes due, after *now*; ``inf`` if never."""

    def minutes(self) -> str:
        """Give the minute field of a crontab line that fires at each slot, or oftener.

        The other fields are stars, since cron has a time zone of its own.
        """


@dataclass(frozen=True, slots=True)
class Every:
    """Each *span* seconds, counted from the epoch.

    Attributes:
        span: Seconds from one slot to the next.

    Raises:
        InvalidLifetime: It is no span of time.
    """

    span: float
    is_due_when_new = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", seconds(self.span, "every"))
        if not _SHORTEST <= self.span <= _LONGEST:
            raise InvalidLifetime(
                f"every must be from {_SHORTEST:g} to {_LONGEST:g} seconds, "
                f"got {self.span:g}"
            )

    def latest(self, now: float) -> float:
        """See `Due.latest`."""
        return self._number(now) * self.span

    def next_after(self, now: float) -> float:
        """See `Due.next_after`."""
        return (self._number(now) + 1) * self.span

    def minutes(self) -> str:
        """See `Due.minutes`."""
        if self.span % _HOUR == 0:
            return "0"
        if self.span % _MINUTE == 0 and _HOUR % self.span == 0:
            return f"*/{self.span / _MINUTE:.0f}"
        return ANY_MINUTE

    def _number(self, now: float) -> int:
        """Count the slots up to *now*; a slot itself counts, however it was rounded."""
        number = math.floor(now / self.span)
        if (number + 1) * self.span <= now:
            return number + 1
        return number - 1 if number * self.span > now else number

    def __str__(self) -> str:
        return f"every {self.span:g} s"


@dataclass(frozen=True, slots=True)
class Later:
    """The slots of another, each due some time later.

    Attributes:
        due: The other.
        delay: Seconds.
    """

    due: Due
    delay: float

    @property
    def is_due_when_new(self) -> bool:
        """See `Due`."""
        return self.due.is_due_when_new

    def latest(self, now: float) -> float:
        """See `Due.latest`."""
        return self.due.latest(now - self.delay)

    def next_after(self, now: float) -> float:
        """See `Due.next_after`."""
        return self.due.next_after(now - self.delay) + self.delay

    def minutes(self) -> str:
        """See `Due.minutes`."""
        return ANY_MINUTE

    def __str__(self) -> str:
        return f"{self.due}, {self.delay:.3g} s later"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The slots of several.

    Attributes:
        dues: They, of which there is at least one.
    """

    dues: tuple[Due, ...]

    @property
    def is_due_when_new(self) -> bool:
        """See `Due`."""
        return any(one.is_due_when_new for one in self.dues)

    def latest(self, now: float) -> float:
        """See `Due.latest`."""
        return max(one.latest(now) for one in self.dues)

    def next_after(self, now: float) -> float:
        """See `Due.next_after`."""
        return min(one.next_after(now) for one in self.dues)

    def minutes(self) -> str:
        """See `Due.minutes`."""
        fields = [one.minutes() for one in self.dues]
        if any(not field.replace(",", "").isdecimal() for field in fields):
            return fields[0] if len(set(fields)) == 1 else ANY_MINUTE
        return ",".join(
            map(str, sorted({int(n) for f in fields for n in f.split(",")}))
        )

    def __str__(self) -> str:
        return "; ".join(map(str, self.dues))


def share(name: str) -> float:
    """Draw a number from 0 to below 1 for *name*: the same in all processes."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6)
    return int.from_bytes(digest.digest(), "big") / 2**48
