"""A bound for the time that a connection to a database takes to be opened."""

from __future__ import annotations

import threading
from collections.abc import Callable

from holdover.regions.backends.sql_seats import Wire
from holdover.regions.errors import BackendError


class _Errand(threading.Thread):
    """Opens a connection while somebody waits for it, or no longer."""

    def __init__(self, make: Callable[[], Wire]) -> None:
        super().__init__(name="holdover-connecting", daemon=True)
        self._make = make
        self.wire: Wire | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.wire = self._make()
        except BaseException as error:  # noqa: BLE001 - the one who waits raises it
            self.error = error


def within(seconds: float, make: Callable[[], Wire]) -> Wire:
    """Make a connection; drivers count their patience in whole seconds, or not at all.

    Raises:
        BackendError: It took too long; once made, it is closed.
    """
    errand = _Errand(make)
    errand.start()
    errand.join(seconds)
    if errand.error is not None:
        raise errand.error
    if errand.wire is None:
        raise BackendError(f"no connection to the database within {seconds:g} s")
    return errand.wire
