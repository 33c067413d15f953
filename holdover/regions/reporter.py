"""A thread that writes a process's figures, behind everybody's back."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable

from holdover.regions.errors import BackendError
from holdover.regions.figures import Figures
from holdover.regions.forks import ForkSafeLock, renew_after_fork
from holdover.regions.latch import Latch
from holdover.regions.ledger import Ledger, Membership

log = logging.getLogger("holdover")
_DICE = random.SystemRandom()  # no state that a fork could share


class Reporter:
    """Writes the figures of this process now and then, once it was told to start.

    Args:
        ledger: Where to.
        figures: Gives them; None when there is nothing to be told any more.
        every: Seconds from one time to the next.
    """

    def __init__(
        self, ledger: Ledger, figures: Callable[[], Figures | None], every: float
    ) -> None:
        self._ledger = ledger
        self._figures = figures
        self._every = every
        self._lock = ForkSafeLock()  # guards changes of _end
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew, under a name of its own; the parent goes on by itself."""
        self._membership = Membership(self._ledger, self._every)
        self._end: Latch | None = None  # ends the thread; None without one

    def start(self) -> None:
        """Go on writing, unless that is under way."""
        with self._lock.held:
            if self._end is not None:
                return
            self._end = end = Latch()
        # Else it is tried again with the next fork or configuration: no thread is to be
        # had, or the interpreter is ending.
        with contextlib.suppress(RuntimeError):
            threading.Thread(
                target=self._run, args=[end], name="holdover-reporter", daemon=True
            ).start()

    def stop(self) -> None:
        """Write no more."""
        with self._lock.held:
            end, self._end = self._end, None
        if end is not None:
            end.open()

    def _run(self, end: Latch) -> None:
        while not end.is_open:
            figures = self._figures()
            if figures is None:
                return
            try:
                self._membership.write(figures)
            except BackendError as error:
                log.debug("figures could not be written: %s", error)
            except Exception:  # what is wrong with figures must not end them
                log.exception("figures could not be written")
            del figures
            # With jitter, or all processes of a server would come at once.
            end.wait(self._every * _DICE.uniform(0.9, 1.0))
