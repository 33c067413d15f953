"""Opening connections in threads of their own, so that nobody waits for one too long.

The threads stay. One that ends clears up after itself in the TLS library, behind
Python's back and with locks that a child which is forked just then never gets.
"""

from __future__ import annotations

from collections.abc import Callable

from holdover.regions.backends.sql_forks import Pause
from holdover.regions.backends.sql_seats import Wire
from holdover.regions.background import Pool
from holdover.regions.errors import BackendError
from holdover.regions.latch import Latch

_MOST = 32  # connections that are being opened at once; others wait for their turn
_BACKLOG = 1000
_FORK_WAITS = 1.0  # seconds; a server that does not answer must not hold one up

_threads = Pool("holdover-connecting", threads=_MOST, backlog=_BACKLOG)
_pause = Pause(_FORK_WAITS)


class NoConnectionInTime(BackendError):
    """The database has not taken a connection for as long as anybody waits."""


class _Opening:
    """A connection that is being opened; somebody waits for it, or no longer."""

    def __init__(self, make: Callable[[], Wire]) -> None:
        self._make = make
        self.done = Latch()
        self.wire: Wire | None = None
        self.error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self.wire = _pause.opening(self._make)
        except BaseException as error:  # noqa: BLE001 - the one who waits raises it
            self.error = error
        self.done.open()


def opened_within(seconds: float, make: Callable[[], Wire]) -> Wire:
    """Make a connection; drivers count their patience in whole seconds, or not at all.

    Raises:
        NoConnectionInTime: It took too long (once made, it is closed).
        BackendError: Too many wait.
        Exception: Whatever *make* raised.
    """
    opening = _Opening(make)
    if not _threads.submit(opening):
        raise BackendError("too many connections to databases wait to be opened")
    opening.done.wait(seconds)
    if opening.error is not None:
        raise opening.error
    if opening.wire is None:
        raise NoConnectionInTime(f"no connection to the database within {seconds:g} s")
    return opening.wire
