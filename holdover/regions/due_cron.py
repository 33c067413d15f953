"""Due times as crontab writes them, in a time zone.

Fields are written by the rules of Celery's ``crontab``; the calendar, and what daylight
saving time does to it, is that of Debian's cron, which the library cronsim keeps.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from holdover.regions.due import ANY_MINUTE
from holdover.regions.errors import ConfigurationError

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
# How far to look back for the newest slot: first where most have one. The 29th of
# February that is a certain weekday comes once in 40 years.
_LOOK_BACK = (600, _HOUR, _DAY, 35 * _DAY, 366 * _DAY, 41 * 366 * _DAY)


class _Field(NamedTuple):
    """One of the five: what it is called, its bounds, and names for its numbers."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def numbers(self, text: str) -> set[int]:
        """Read the field's text.

        Raises:
            ValueError: It says what is wrong.
        """
        return {one for part in text.split(",") for one in self._part(part)}

    def _part(self, part: str) -> list[int]:
        found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part, re.ASCII)
        if found is None:
            raise ValueError(f"{part!r} is no number, range or step")
        start, end, step = found.groups()
        if (start == "*" and end) or (step and start != "*" and not end):
            raise ValueError(f"{part!r} is no number, range or step")
        if step is not None and int(step) == 0:
            raise ValueError(f"{part!r} has a step of 0")
        return self._range(start, end)[:: int(step or 1)]

    def _range(self, start: str, end: str | None) -> list[int]:
        everything = list(range(self.first, self.last + 1))
        if start == "*":
            return everything
        begins_at = everything.index(self._number(start))
        if end is None:
            return everything[begins_at : begins_at + 1]
        ends_at = everything.index(self._number(end))
        if begins_at <= ends_at:
            return everything[begins_at : ends_at + 1]
        return everything[begins_at:] + everything[: ends_at + 1]  # fri-mon

    def _number(self, text: str) -> int:
        if text.isdecimal():
            if not self.first <= int(text) <= self.last:
                raise ValueError(f"{text} is not from {self.first} to {self.last}")
            return int(text)
        for number, name in enumerate(self.names, self.first):
            if len(text) >= _SHORTEST_NAME and name.startswith(text.lower()):
                return number
        raise ValueError(f"{text!r} is no number from {self.first} to {self.last}")


_SHORTEST_NAME = 3
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august",
    "september", "october", "november", "december",
)  # fmt: skip
_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of a month
_DAYS = (
    "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
)  # fmt: skip
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """When a crontab's five fields say.

    A day must match the day of the month *and* the day of the week, as in Celery. When
    clocks are put forward, what is due at a fixed time that is left out is due right
    afterwards; when they are put back, it is due the first time only. What has a star
    for its minute or hour goes by the time that passes.

    Attributes:
        expression: Minute, hour, day of month, month and day of week, as in
            ``"*/3 * * * *"`` or ``"0 9-17/2 * * mon-fri"``; or one of crontab's names
            for them, such as ``"@daily"``.
        timezone: The name of the zone whose clocks show them.

    Raises:
        ConfigurationError: They cannot be read, or come never.
    """

    expression: str
    timezone: str = "UTC"
    is_due_when_new = False
    _words: str = field(init=False, repr=False, compare=False)
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", _translated(self.expression))
        object.__setattr__(self, "_zone", _zone(self.timezone))

    def latest(self, now: float) -> float:
        """See `Due.latest`."""
        for span in _LOOK_BACK:
            found = -math.inf
            for slot in self._slots(now - span):
                if slot > now:
                    break
                found = slot
            if found != -math.inf:
                return found
        return -math.inf

    def next_after(self, now: float) -> float:
        """See `Due.next_after`."""
        return next(self._slots(now), math.inf)

    def minutes(self) -> str:
        """See `Due.minutes`."""
        if not _has_whole_hours(self._zone):
            return ANY_MINUTE
        text = _texts(self.expression)[0]
        numbers = sorted(_FIELDS[0].numbers(text))
        if len(numbers) == _HOUR // _MINUTE:
            return ANY_MINUTE
        # Written as it was where cron reads it alike: it knows no ranges that wrap.
        return text if text.startswith(ANY_MINUTE) else ",".join(map(str, numbers))

    def _slots(self, after: float) -> Iterator[float]:
        """Give the slots after an instant, in their order."""
        begin = dt.datetime.fromtimestamp(math.floor(after), self._zone)
        simulated = CronSim(self._words, begin)
        simulated.day_and = True
        for found in simulated:
            # In the hour that comes twice, cronsim begins with the first of the two.
            if (slot := found.timestamp()) > after:
                yield slot

    def __str__(self) -> str:
        return f"{self.expression} ({self.timezone})"


def _translated(expression: object) -> str:
    """Write what Celery's rules mean in the way that cronsim reads.

    Raises:
        ConfigurationError: It says which field is wrong.
    """
    texts = _texts(expression)
    if len(texts) != len(_FIELDS):
        raise ConfigurationError(
            "cron must be a text of five fields (minute, hour, day of month, month, "
            f"day of week), as '*/3 * * * *', got {expression!r:.80}"
        )
    numbers = list(map(_numbers, _FIELDS, texts))
    days, months = numbers[2], numbers[3]
    if min(days) > max(_LONGEST[month] for month in months):
        raise ConfigurationError(
            f"cron={expression!r} comes never: there is no such day"
        )
    return " ".join(map(_field_translated, _FIELDS, texts, numbers))


def _texts(expression: object) -> list[str]:
    if not isinstance(expression, str):
        return []
    return _NICKNAMES.get(expression.strip().lower(), expression).split()


def _numbers(one: _Field, text: str) -> list[int]:
    try:
        return sorted(one.numbers(text))
    except ValueError as error:
        raise ConfigurationError(f"cron: the {one.name} {text!r}: {error}") from None


def _field_translated(one: _Field, text: str, numbers: list[int]) -> str:
    listed = ",".join(map(str, numbers))
    # A star makes it go by the time that passes, and adds no number but the first one,
    # which is there already if the text begins with a star.
    return f"*/{one.last + 1},{listed}" if text.startswith("*") else listed


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(name)  # type: ignore[arg-type] # what is no text raises
    except (ZoneInfoNotFoundError, ValueError, TypeError, AttributeError, OSError):
        raise ConfigurationError(
            "timezone must be the name of a time zone, as 'Europe/Zurich', got "
            f"{name!r:.80} (on systems without a zone database: pip install tzdata)"
        ) from None


def _has_whole_hours(zone: ZoneInfo) -> bool:
    """Say whether its clocks show the same minutes as those of most others."""
    halves = (dt.datetime(2024, month, 1, tzinfo=zone) for month in (1, 7))
    return all(one.utcoffset() in _WHOLE_HOURS for one in halves)


_WHOLE_HOURS = {dt.timedelta(hours=hours) for hours in range(-24, 25)}
