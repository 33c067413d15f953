"""Telling a backend, once it is back, of the removals that it has missed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_DICE = random.SystemRandom()  # no state that a fork or a test could share


class Redelivery:
    """Tries again, in a thread that lives until nothing is left.

    Readers in this process try by themselves; this is for those in others, who do not
    know that what they read was to be removed.

    Args:
        is_needed: Says whether anything is left.
        deliver: Tries; raises `BackendError` if that fails.
    """

    def __init__(
        self, is_needed: Callable[[], bool], deliver: Callable[[], object]
    ) -> None:
        self._is_needed = is_needed
        self._deliver = deliver
        self._is_running = False
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew with the next failure; the parent goes on by itself."""
        self._is_running = False

    def start(self) -> None:
        """Go on trying behind the caller's back, unless that is under way."""
        if self._is_running:
            return
        self._is_running = True  # before the thread can say that it is not
        try:
            threading.Thread(
                target=self._run, name="holdover-redelivery", daemon=True
            ).start()
        except RuntimeError:  # no thread to be had; the next failure or read asks again
            self._is_running = False

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while self._is_needed():
                # With jitter, or all processes would come at once.
                threading.Event().wait(pause * _DICE.uniform(0.5, 1.0))
                pause = _FIRST_PAUSE if self._try() else min(2 * pause, _LONGEST_PAUSE)
        finally:
            self._is_running = False
        if self._is_needed():  # something came in between
            self.start()

    def _try(self) -> bool:
        try:
            self._deliver()
        except BackendError:
            return False
        return True
