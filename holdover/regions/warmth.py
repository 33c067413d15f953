"""What is warmed, and what came of it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import Repr
from typing import Any

_SHOWN = Repr()
_SHOWN.maxstring = _SHOWN.maxother = 40


class Warmth(enum.Enum):
    """What came of warming one call.

    CREATED: its value was made and stored. FRESH: there was a fresh one, which was left
    alone. SKIPPED: its function says that this value is not to be stored, or it was a
    hot call that this release does not know. FAILED: there is no fresh value.
    """

    CREATED = "created"
    FRESH = "fresh"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WarmCall:
    """The arguments of one call.

    Attributes:
        args: The positional ones.
        kwargs: The keyword ones.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        named = [f"{name}={_SHOWN.repr(held)}" for name, held in self.kwargs.items()]
        return f"({', '.join([*map(_SHOWN.repr, self.args), *named])})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HotCall:
    """A call that is among those asked for most.

    Attributes:
        function: The name under which its function is registered.
        call: Its arguments.
        weight: How often it was asked for, about; what was long ago counts less.
    """

    function: str
    call: WarmCall
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """What came of one call.

    Attributes:
        region: Name of the region.
        group: The group that it belongs to.
        function: Name of the function.
        call: Its arguments; None if the group's calls could not be had.
        warmth: What came of it.
        seconds: Seconds that it took.
        reason: Why it was skipped or has failed, in one line; "" otherwise.
        error: What was raised, if it has failed.
    """

    region: str
    group: str
    function: str
    call: WarmCall | None
    warmth: Warmth
    seconds: float = 0.0
    reason: str = ""
    error: BaseException | None = None

    @property
    def has_failed(self) -> bool:
        """Whether there is no fresh value."""
        return self.warmth is Warmth.FAILED

    def __str__(self) -> str:
        call = "" if self.call is None else str(self.call)
        what = f"{self.region}/{self.group} {self.function}{call} {self.warmth.value}"
        return f"{what}: {self.reason}" if self.reason else what


class Tally:
    """How many calls came to what."""

    def __init__(self) -> None:
        self._counts: Counter[Warmth] = Counter()

    def add(self, warmed: Warmed) -> None:
        """Count one."""
        self._counts[warmed.warmth] += 1

    def __getitem__(self, warmth: Warmth) -> int:
        return self._counts[warmth]

    @property
    def total(self) -> int:
        """How many there are."""
        return self._counts.total()

    def to_plain(self) -> dict[str, int]:
        """Give the counts as JSON values."""
        return {one.value: self._counts[one] for one in Warmth}

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.to_plain().items())
