"""Keeping leases alive for as long as their creators live."""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from holdover.regions.forks import renew_after_fork
from holdover.regions.timesource import SYSTEM_TIME

if TYPE_CHECKING:
    from holdover.regions.backends.base import Backend
    from holdover.regions.backends.grants import Lease
    from holdover.regions.lifetime import LeaseTerms

log = logging.getLogger("holdover")
Release = Callable[[], object]
_RENEWALS_PER_TTL = 3


class _Held:
    """A lease under renewal."""

    __slots__ = ("backend", "ended", "gives_up_at", "lease", "ttl")

    def __init__(
        self, backend: Backend, lease: Lease, ttl: float, until: float
    ) -> None:
        self.backend = backend
        self.lease = lease
        self.ttl = ttl
        self.gives_up_at = until
        self.ended = False


class Renewals:
    """One thread per process that renews every held lease each third of its ttl."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Renew nothing that the parent holds."""
        # Not a condition: that is Python, and an exception from outside between two of
        # its steps could leave it locked, and then nobody creates any more.
        self._woken: queue.SimpleQueue[Release | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards all below
        self._due: list[tuple[float, int, _Held]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(
        self, backend: Backend, lease: Lease, terms: LeaseTerms
    ) -> Iterator[None]:
        """Keep *lease* alive during the block, at most ``terms.max_hold`` seconds."""
        now = SYSTEM_TIME.steady()
        held = _Held(backend, lease, terms.ttl, now + terms.max_hold)
        try:
            self._schedule(held, now)
            yield
        finally:
            held.ended = True  # the thread drops it when it comes due

    def release_soon(self, release: Release) -> None:
        """Have the thread call *release*: for finalizers, which must not wait.

        They run anywhere, maybe while this thread holds the lock; so none is taken.
        """
        self._woken.put(release)

    def _schedule(self, held: _Held, now: float) -> None:
        due_at = now + held.ttl / _RENEWALS_PER_TTL
        with self._lock:
            heapq.heappush(self._due, (due_at, next(self._order), held))
            if self._thread is None or not self._thread.is_alive():
                self._start_thread()
            elif self._due[0][2] is held:
                self._woken.put(None)

    def _start_thread(self) -> None:
        """Start the one thread; without it, leases last their ttl and no longer."""
        thread = threading.Thread(
            target=self._run, name="holdover-renewal", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            log.warning("leases are not renewed: %s", error)
        else:
            self._thread = thread

    def _run(self) -> None:
        while True:
            held = self._next()
            if not held.ended and _renewed(held):
                self._schedule(held, SYSTEM_TIME.steady())

    def _next(self) -> _Held:
        """Wait for the next lease that is due."""
        while True:
            with self._lock:
                wait = None
                if self._due:
                    wait = self._due[0][0] - SYSTEM_TIME.steady()
                    if wait <= 0:
                        return heapq.heappop(self._due)[2]
            with suppress(queue.Empty):
                release = self._woken.get(timeout=wait)
                if release is not None:
                    _released(release)


def _renewed(held: _Held) -> bool:
    """Renew once; say whether to go on renewing."""
    if SYSTEM_TIME.steady() >= held.gives_up_at:
        log.warning(
            "a creator has held its lease for max_hold; others may create from now on"
        )
        return False
    try:
        return held.backend.renew(held.lease, ttl=held.ttl)
    except Exception as error:  # noqa: BLE001 - one backend's fault is not another's
        log.warning("a lease could not be renewed: %s", error)
        return True  # the backend may be back before the lease lapses


def _released(release: Release) -> None:
    try:
        release()
    except Exception as error:  # noqa: BLE001 - one backend's fault is not another's
        log.warning("a lease could not be released, and lapses: %s", error)


RENEWALS = Renewals()
