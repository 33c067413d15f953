"""The figures of all processes that share a region's backend: what they tell.

Nothing here reads or writes anything; `ledger` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, Self

from holdover.regions.figures import (
    NO_FIGURES,
    Figures,
    NoFigures,
    count_of,
    seconds_of,
)

MOST_MEMBERS = 500
"""How many processes of one region are told apart."""

_SILENT_AFTER = 3.0  # times its interval
_ENDED_AFTER = 10.0
_ENDED_AT_LEAST = 60.0  # seconds
_LONGEST_TEXT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures:
    """The figures of one process, as it wrote them last.

    Attributes:
        host: Name of its host.
        pid: Its number there.
        figures: What it has counted.
        recent: What came in its last interval.
        recent_for: Seconds that this was long; 0.0 if it has just begun.
        written_at: When it wrote, by its own wall clock.
        every: Seconds that it lets pass from one time to the next.
    """

    host: str
    pid: int
    figures: Figures
    recent: Figures
    recent_for: float
    written_at: float
    every: float

    def is_silent(self, now: float) -> bool:
        """Say whether it should have written again by *now*."""
        return now - self.written_at > _SILENT_AFTER * self.every

    def has_ended(self, now: float) -> bool:
        """Say whether it has been silent for so long that it counts as ended."""
        bound = max(_ENDED_AT_LEAST, _ENDED_AFTER * self.every)
        return now - self.written_at > bound

    def as_dict(self) -> dict[str, Any]:
        """Give them as JSON values."""
        return {
            "host": self.host,
            "pid": self.pid,
            "figures": self.figures.as_dict(),
            "recent": self.recent.as_dict(),
            "recent_for": self.recent_for,
            "written_at": self.written_at,
            "every": self.every,
        }

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Read what `as_dict` gave.

        Raises:
            NoFigures: It is something else.
        """
        if not isinstance(plain, Mapping):
            raise NoFigures(f"no process: {type(plain).__name__}")
        return cls(
            host=_text(plain.get("host")),
            pid=count_of(plain.get("pid")),
            figures=Figures.from_plain(plain.get("figures")),
            recent=Figures.from_plain(plain.get("recent")),
            recent_for=seconds_of(plain.get("recent_for")),
            written_at=seconds_of(plain.get("written_at")),
            every=seconds_of(plain.get("every")),
        )


@dataclass(frozen=True, kw_only=True)
class FleetFigures:
    """The figures of all processes that use a region and write theirs.

    Attributes:
        at: When they were read, by this process's wall clock.
        past: The sum of those that have ended.
        processes: All others.
    """

    at: float
    past: Figures
    processes: tuple[ProcessFigures, ...]

    @cached_property
    def total(self) -> Figures:
        """The sum over all, also those that have ended."""
        return sum_of(one.figures for one in self.processes) + self.past

    @cached_property
    def living(self) -> tuple[ProcessFigures, ...]:
        """The processes that wrote lately."""
        return tuple(one for one in self.processes if not one.is_silent(self.at))

    @cached_property
    def silent(self) -> tuple[ProcessFigures, ...]:
        """Those that should have written again: ended, hanging, or cut off."""
        return tuple(one for one in self.processes if one.is_silent(self.at))

    @cached_property
    def recent(self) -> Figures:
        """What came in the last interval of each living process, all together."""
        return sum_of(one.recent for one in self.living)

    def per_second(self, what: Callable[[Figures], float]) -> float:
        """Give how many of *what* there are per second, in all living processes."""
        return sum(
            what(one.recent) / one.recent_for for one in self.living if one.recent_for
        )

    def as_dict(self) -> dict[str, Any]:
        """Give them as JSON values."""
        return {
            "at": self.at,
            "total": self.total.as_dict(),
            "recent": self.recent.as_dict(),
            "living": [_told(one) for one in self.living],
            "silent": [_told(one) for one in self.silent],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Who writes figures, and what those had counted who have ended.

    Attributes:
        token: Made with it; another one means that it was lost and begun anew.
        past: The sum of those who have ended.
        members: The names of the others.
    """

    token: str
    past: Figures = NO_FIGURES
    members: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        past = self.past.as_dict()
        return {"token": self.token, "past": past, "members": list(self.members)}

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Read what `as_dict` gave.

        Raises:
            NoFigures: It is something else.
        """
        members = plain.get("members") if isinstance(plain, Mapping) else None
        if not isinstance(members, list) or len(members) > MOST_MEMBERS:
            raise NoFigures(f"no roster: {type(plain).__name__}")
        return cls(
            token=_text(plain.get("token")),
            past=Figures.from_plain(plain.get("past")),
            members=tuple(dict.fromkeys(_text(one) for one in members)),
        )


def sum_of(figures: Iterable[Figures]) -> Figures:
    """Add figures up."""
    return reduce(add, figures, NO_FIGURES)


def _told(process: ProcessFigures) -> dict[str, Any]:
    return {"host": process.host, "pid": process.pid, "written_at": process.written_at}


def _text(plain: Any) -> str:
    if not isinstance(plain, str) or not 0 < len(plain) <= _LONGEST_TEXT:
        raise NoFigures(f"no name: {type(plain).__name__}")
    return plain
