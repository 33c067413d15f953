"""How much of the machine other programs took while a phase was measured."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE, _IOWAIT, _COUNTED = 3, 4, 8  # see proc(5), /proc/stat


class Elsewhere:
    """Measures what programs other than ours compute, from its making on.

    Ours are this process and those children that have ended, so ask when they have.
    """

    def __init__(self) -> None:
        self._busy = _busy()
        self._ours = _ours()
        self._started = time.monotonic()

    def processors(self) -> float | None:
        """Give how many processors they kept busy; None if the system does not tell."""
        busy = _busy()
        if busy is None or self._busy is None:
            return None
        theirs = (busy - self._busy) - (_ours() - self._ours)
        return max(0.0, theirs / (time.monotonic() - self._started))


def _busy() -> float | None:
    """Seconds that all processors together have worked."""
    try:
        first = _STAT.read_text().partition("\n")[0]
    except OSError:
        return None
    ticks = [int(field) for field in first.split()[1 : _COUNTED + 1]]
    working = sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT]
    return working / os.sysconf("SC_CLK_TCK")


def _ours() -> float:
    """Seconds that this process and its ended children have worked."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
