"""What a framework does when a thread of Holdover's has done a piece of work.

A database connection, say, belongs to the thread that opened it, and nobody else ever
closes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger("holdover")

Clear = Callable[[], object]
_wanted: list[Clear] = []


def clear_up_after_work(clear: Clear) -> None:
    """Have *clear* called whenever a thread of Holdover's has done a piece of work.

    Such threads run schedules, refreshes, and creators with a time limit. It is called
    in that thread, also if the work has failed, and before whoever waits for the work
    goes on. What it raises is logged.

    Args:
        clear: Called without arguments. One that is known already is not added again.
    """
    if clear not in _wanted:
        _wanted.append(clear)


def clear_up() -> None:
    """Call what `clear_up_after_work` was told, in this thread."""
    for clear in _wanted:
        try:
            clear()
        except Exception:  # it must not end the thread, or hide what came of the work
            log.exception("clearing up after work failed")
