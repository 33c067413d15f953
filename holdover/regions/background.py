"""Threads behind the caller's back: few, bounded, lazy, re-made after a fork."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from holdover.regions.forks import renew_after_fork

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
        self._lock = threading.Lock()  # guards the number of threads and of idle ones
        self._threads = 0
        self._idle = 0
        self._work: queue.Queue[Callable[[], Any]] = queue.Queue(self._backlog)

    def submit(self, work: Callable[[], Any]) -> bool:
        """Have *work* done soon; False at once if too much is waiting."""
        try:
            self._work.put_nowait(work)
        except queue.Full:
            return False
        with self._lock:
            if self._idle >= self._work.qsize() or self._threads >= self._most:
                return True
            self._threads += 1
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:  # no more threads to be had, or the interpreter is ending
            with self._lock:
                self._threads -= 1
            return self._threads > 0
        return True

    def waiting(self) -> int:
        """Tell how much work no thread has taken yet."""
        return self._work.qsize()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            work = self._work.get()
            with self._lock:
                self._idle -= 1
            try:
                work()
            except BaseException:  # one bad piece of work must not end the thread
                log.exception("%s: unexpected error", self._name)
