"""One place that knows how to begin anew in the child of a fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something whose locks, threads or leases must not be inherited."""

    def after_fork(self) -> None:
        """Begin anew: runs in the child, before anything else, in its only thread."""


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renew_after_fork(thing: Forkable) -> None:
    """Have ``thing.after_fork()`` called in every child, for as long as it lives."""
    _forkables.add(thing)


class ForkSafeLock:
    """A lock that is free in the child of a fork, whoever held it in the parent.

    Use it as ``with lock.held:``. What is entered there is the plain lock, since
    between two steps of a method of ours an exception from outside could leave it
    locked.
    """

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin free."""
        self.held = threading.Lock()


def _renew_all() -> None:
    for thing in list(_forkables):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
