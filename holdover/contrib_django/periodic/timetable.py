"""When a job is due, in django-cron's words or in Holdover's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from holdover.errors import ConfigurationError

_MINUTES = 60
_HOURS = 24
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LAST_DAY = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a `PeriodicJob` is due: ``Schedule(every=15)``.

    The options that begin with ``run_``, and ``retry_after_failure_mins``, are
    django-cron's.

    Attributes:
        every: Seconds (or ``timedelta``) from one due time to the next.
        cron: Five fields as crontab has them, or a list of such.
        timezone: The time zone of *cron* and of times of the day; None means the
            setting TIME_ZONE.
        run_every_mins: Minutes, in place of *every*.
        run_at_times: Times of the day, ``["6:30", "18:00"]``.
        run_weekly_on_days: On which days of the week only, from 0, a Monday, to 6.
        run_monthly_on_days: On which days of the month only.
        retry_after: Seconds (or ``timedelta``) after which a failed run is tried again.
        retry_after_failure_mins: Minutes, in place of *retry_after*.

    Raises:
        ConfigurationError: An option is wrong, or two contradict each other.
    """

    every: float | timedelta | None = None
    cron: str | Sequence[str] | None = None
    timezone: str | None = None
    run_every_mins: float | None = None
    run_at_times: Sequence[str] | None = None
    run_weekly_on_days: Sequence[int] | None = None
    run_monthly_on_days: Sequence[int] | None = None
    retry_after: float | timedelta | None = None
    retry_after_failure_mins: float | None = None

    def __post_init__(self) -> None:
        ways = ("every", "cron", "run_every_mins", "run_at_times")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            raise ConfigurationError(
                f"a job's Schedule takes one of {', '.join(ways)}, got {said}: what is "
                "due in two ways is two jobs"
            )
        if self._has_days and given[0] in ("every", "cron"):
            raise ConfigurationError(
                f"days go with run_every_mins and run_at_times; {given[0]}= says all"
            )
        if self.retry_after is not None and self.retry_after_failure_mins is not None:
            raise ConfigurationError(
                "retry_after and retry_after_failure_mins say the same: give one"
            )
        self.options()

    def options(self) -> dict[str, Any]:
        """Give it as options of `Region.schedule`.

        Raises:
            ConfigurationError: It cannot be said there.
        """
        options = self._when()
        retry = self.retry_after
        if self.retry_after_failure_mins is not None:
            retry = _seconds("retry_after_failure_mins", self.retry_after_failure_mins)
        return options if retry is None else {**options, "retry_after": retry}

    @property
    def _has_days(self) -> bool:
        return (self.run_weekly_on_days, self.run_monthly_on_days) != (None, None)

    def _when(self) -> dict[str, Any]:
        if self.every is not None:
            return {"every": self.every}
        if self.run_every_mins is not None and not self._has_days:
            return {"every": _seconds("run_every_mins", self.run_every_mins)}
        zone = settings.TIME_ZONE if self.timezone is None else self.timezone
        return {"cron": self._lines(), "timezone": zone}

    def _lines(self) -> str | Sequence[str]:
        if self.cron is not None:
            return self.cron
        # In cron's week a Sunday is the first.
        week = [(day + 1) % 7 for day in _days("weekly", self.run_weekly_on_days, 0, 6)]
        month = _days("monthly", self.run_monthly_on_days, 1, _LAST_DAY)
        days = f"{_field(month)} * {_field(week)}"
        return [f"{time} {days}" for time in self._times()]

    def _times(self) -> list[str]:
        """Give the minute and hour fields."""
        if self.run_every_mins is not None:
            return [_step(self.run_every_mins)]
        times: object = self.run_at_times
        if isinstance(times, str) or not isinstance(times, Sequence) or not times:
            raise ConfigurationError(
                f"run_at_times is a list such as ['6:30', '18:00'], got {times!r:.80}"
            )
        return list(map(_time, times))


def _time(text: object) -> str:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ConfigurationError(
            f"run_at_times takes times from '0:00' to '23:59', got {text!r:.80}"
        )
    return f"{int(found[2])} {int(found[1])}"


def _step(minutes: float) -> str:
    """Say each so many minutes as cron can, which begins anew each hour or day."""
    whole = int(_seconds("run_every_mins", minutes) // 60)
    if whole == minutes and whole < _MINUTES and _MINUTES % whole == 0:
        return f"*/{whole} *"
    hours, rest = divmod(whole, _MINUTES)
    if whole == minutes and not rest and _HOURS % hours == 0:
        return "0 0" if hours == _HOURS else f"0 */{hours}"
    raise ConfigurationError(
        f"run_every_mins={minutes!r} on certain days cannot be said: it must divide an "
        "hour, or be hours that divide a day; or say run_at_times"
    )


def _seconds(name: str, minutes: object) -> float:
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        raise ConfigurationError(f"{name} is a number of minutes, got {minutes!r:.80}")
    if minutes <= 0:
        raise ConfigurationError(f"{name} must be above 0, got {minutes!r}")
    return 60.0 * minutes


def _days(which: str, given: Sequence[int] | None, first: int, last: int) -> list[int]:
    if given is None:
        return []
    days: object = given
    is_list = isinstance(days, Iterable) and not isinstance(days, str)
    listed = list(given) if is_list else []
    known = range(first, last + 1)
    if not listed or not all(type(one) is int and one in known for one in listed):
        raise ConfigurationError(
            f"run_{which}_on_days is a list of numbers from {first} to {last}, got "
            f"{given!r:.80}"
        )
    return listed


def _field(numbers: Sequence[int]) -> str:
    return ",".join(map(str, sorted(numbers))) or "*"
