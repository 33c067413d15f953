"""One run of a schedule, as it is kept and told of."""

from __future__ import annotations

import traceback
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from dogpile.cache.api import NO_VALUE

from holdover.regions.values import frozen

_LONGEST_ERROR = 500  # characters
_LONGEST_TRACEBACK = 8_000


@frozen(kw_only=True)
class Run:
    """One run of a schedule. Instants are of the wall clock, all in seconds.

    Attributes:
        region: Name of the region.
        name: Name of the schedule.
        slot_at: The due time that it was for.
        begun_at: When it began.
        duration: Seconds that it took.
        value: What it returned; ``NO_VALUE`` if it failed, or is a job without one.
        error: Why it failed, in one line; "" if it did not.
        details: The traceback, or the end of a command's output.
    """

    region: str
    name: str
    slot_at: float
    begun_at: float
    duration: float
    value: Any = NO_VALUE
    error: str = ""
    details: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it failed."""
        return bool(self.error)

    @property
    def has_value(self) -> bool:
        """Whether there is a value."""
        return self.value is not NO_VALUE

    def failed_by(self, failure: Failure) -> Run:
        """Give the run as it is told if its value cannot be kept."""
        return replace(
            self, value=NO_VALUE, error=failure.error, details=failure.details
        )


@frozen(kw_only=True)
class Failure:
    """What went wrong, in words that fit into a record.

    Attributes:
        error: One line, never empty.
        details: More of it.
    """

    error: str
    details: str = ""

    def __post_init__(self) -> None:
        for name in ("error", "details"):
            text: str = getattr(self, name)
            # A file's name may have bytes in it that no record takes.
            whole = text.encode(errors="backslashreplace").decode()
            object.__setattr__(self, name, whole)

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Describe an exception."""
        line = " ".join("".join(traceback.format_exception_only(error)).split())
        lines = traceback.format_exception(type(error), error, _beyond_ours(error))
        details = "".join(lines)
        return cls(error=line[:_LONGEST_ERROR], details=details[-_LONGEST_TRACEBACK:])


def _beyond_ours(error: BaseException) -> TracebackType | None:
    """Give the traceback from where Holdover called what failed; all if it is ours."""
    step = error.__traceback__
    while step is not None:
        if not step.tb_frame.f_globals.get("__name__", "").startswith("holdover."):
            return step
        step = step.tb_next
    return error.__traceback__
