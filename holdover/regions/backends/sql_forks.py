"""Forks of processes that use databases: only while nobody is at what they would break.

What another thread holds at the moment of a fork, nobody ever gives back in the child.

SQLite keeps account of its locks in the process, and guards that with a mutex: the
child would wait for ever, or take a ghost for a writer. The child's closing what it
inherited would cost the parent its locks. So statements end first, and idle connections
close.

Drivers of servers prepare TLS, whose library has locks of its own: with one of them
held, the child's own first connection would hang. So connections are made first.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from holdover.regions.backends.sql_seats import Use, Wire
from holdover.regions.forks import renew_after_fork

_POLL = 0.0005  # seconds between two looks whether the last statement has ended
_SOON = 0.1  # seconds that statements take at most, as a rule
_LONGEST = 10.0  # seconds that a fork waits for another thread's


class Holdable(Protocol):
    """What opens connections and runs statements."""

    def hold(self, over: threading.Event, most: float) -> None:
        """Let no further statement begin until *over*, or for *most* seconds."""

    def go_on(self) -> None:
        """Be as before `hold`."""


class Pause:
    """Makes the forks of this process wait until connections are made.

    Args:
        most: Seconds that a fork waits at most.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self.after_fork()
        renew_after_fork(self)
        _pauses.add(self)

    def after_fork(self) -> None:
        """Begin anew: what was under way was the parent's, and the fork is over."""
        self._over = threading.Event()
        self._over.set()
        self._uses: weakref.WeakSet[Use] = weakref.WeakSet()

    def opening(self, make: Callable[[], Wire]) -> Wire:
        """Open a connection, once no fork is under way."""
        opening = self._begun()
        try:
            return make()
        finally:
            opening.is_over = True

    def _begun(self) -> Use:
        """Note a use, when no fork is under way."""
        while True:
            use = Use()
            self._uses.add(use)
            # Looked at after that; whoever begins a fork looks the other way round.
            if self._over.is_set():
                return use
            use.is_over = True
            if not self._over.wait(self._most):
                return use  # a fork that does not end

    def begin(self) -> None:
        """Hold up new uses, and wait for those under way."""
        self._over.clear()
        self._hold_up_others()
        deadline = time.monotonic() + self._most
        if not self._are_over(min(deadline, time.monotonic() + _SOON)):
            gc.collect()  # of what is garbage, but in a cycle, nobody tells the end
            self._are_over(deadline)

    def _are_over(self, deadline: float) -> bool:
        """Wait until all uses are over; say whether they are."""
        while not all(use.is_over for use in list(self._uses)):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def _hold_up_others(self) -> None:
        """Hold up what does not ask for connections; there is nothing else here."""

    def end(self) -> None:
        """Let uses begin again."""
        self._over.set()


class LocalPause(Pause):
    """Makes the forks of this process wait for the statements of one link, too.

    Args:
        link: Runs them.
        most: Seconds that a fork waits at most.
    """

    def __init__(self, link: Holdable, most: float) -> None:
        super().__init__(most)
        self._link = weakref.ref(link)

    def opening(self, make: Callable[[], Wire]) -> Wire:
        """Open a connection, once no fork is under way; forks wait for its end."""

        def made() -> Wire:
            wire = make()
            self._uses.add(wire.use)
            return wire

        return super().opening(made)

    def _hold_up_others(self) -> None:
        """Hold up new statements, on connections that there are."""
        link = self._link()
        if link is not None:
            link.hold(self._over, 2 * self._most)

    def end(self) -> None:
        """Let statements begin again."""
        link = self._link()
        if link is not None:
            link.go_on()
        super().end()


_pauses: weakref.WeakSet[Pause] = weakref.WeakSet()
_forking = threading.Lock()  # held from before a fork until after it


def _before_fork() -> None:
    _forking.acquire(timeout=_LONGEST)
    for pause in list(_pauses):
        pause.begin()


def _after_in_parent() -> None:
    for pause in list(_pauses):
        pause.end()
    with contextlib.suppress(RuntimeError):  # another fork did not end
        _forking.release()


def _after_in_child() -> None:
    global _forking  # noqa: PLW0603 - nobody else is here who could hold it
    _forking = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_in_parent,
        after_in_child=_after_in_child,
    )
