"""What an examination finds: of a region, its backend, its queue."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdover.regions.texts import masked


class Health(enum.Enum):
    """How something is.

    OK: as it should be. WARN: it works, and may do harm. FAIL: it does not work.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    Users and passwords of URLs in its texts are hidden.

    Attributes:
        check: What was looked at, in a word or two.
        health: How it is.
        found: What was found, in one line.
        advice: What to do about it; empty if nothing.
    """

    check: str
    health: Health
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        # Errors of clients' libraries may quote the address that they were given.
        object.__setattr__(self, "found", masked(self.found))
        object.__setattr__(self, "advice", masked(self.advice))
