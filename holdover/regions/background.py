"""Threads behind the caller's back: few, bounded, lazy, re-made after a fork."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from holdover.regions.clearing import clear_up
from holdover.regions.forks import renew_after_fork
from holdover.regions.timesource import SYSTEM_TIME

log = logging.getLogger("holdover")


class Pool:
    """A bounded number of daemon threads behind a bounded queue.

    Threads start when there is work. A fork's child inherits neither threads nor
    waiting work: what waited belongs to the parent, which still does it.
    """

    def __init__(self, name: str, *, threads: int, backlog: int) -> None:
        self._name = name
        self._most = threads
        self._backlog = backlog
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin with no thread and an empty queue."""
        # Not a condition: that is Python, and an exception from outside between two of
        # its steps could leave it locked.
        self._waiting: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards all below
        self._threads = 0
        self._unfinished = 0
        self._begun_at: dict[int, float] = {}  # thread -> when its present work began

    def submit(self, work: Callable[[], Any]) -> bool:
        """Have *work* done soon; False at once if that cannot be promised."""
        with self._lock:
            if self._waiting.qsize() >= self._backlog:
                return False
            if self._threads <= self._unfinished and self._threads < self._most:
                self._start_thread()
            if not self._threads:
                return False
            self._unfinished += 1
            self._waiting.put(work)
            return True

    def waiting(self) -> int:
        """Tell how much work no thread has taken yet."""
        return self._waiting.qsize()

    def busy_for(self) -> float:
        """Tell for how many seconds the longest piece of work has been under way."""
        with self._lock:
            begun_at = min(self._begun_at.values(), default=None)
        return 0.0 if begun_at is None else SYSTEM_TIME.steady() - begun_at

    def _start_thread(self) -> None:
        """Start one more, if there is one to be had; the caller holds the lock."""
        with contextlib.suppress(RuntimeError):  # no more, or the interpreter is ending
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._threads += 1

    def _run(self) -> None:
        me = threading.get_ident()
        while True:
            work = self._waiting.get()
            with self._lock:
                self._begun_at[me] = SYSTEM_TIME.steady()
            try:
                work()
            except BaseException:  # one bad piece of work must not end the thread
                log.exception("%s: unexpected error", self._name)
            clear_up()
            del work  # and not keep alive what it was about
            with self._lock:
                if self._begun_at.pop(me, None) is not None:  # not in a fork's child
                    self._unfinished -= 1
