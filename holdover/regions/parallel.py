"""Doing many things at once, without holding more of them than are under way."""

from __future__ import annotations

import contextvars
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from holdover.regions.timesource import SYSTEM_TIME

T = TypeVar("T")
R = TypeVar("R")

_PER_THREAD = 2  # things that are taken before their result is


class Parallel(Generic[T, R]):
    """Does a thing to each of many, in threads that end with them.

    One thread alone takes them, since what gives them may belong to it (a cursor of a
    database). All run in the caller's context variables.

    Args:
        things: What gives them, in a thread. If it raises, there are no more.
        do: Done to each in one of the threads. If it raises, that thread ends.
        threads: How many are under way at once.
    """

    def __init__(self, things: Iterator[T], do: Callable[[T], R], threads: int) -> None:
        self._things = things
        self._do = do
        self._threads = threads
        self._room = threading.Semaphore(_PER_THREAD * threads)
        self._work: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[R | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # guards all below, and what is put into _done
        self._under_way: dict[int, T] = {}
        self._stopping = False
        self.has_taken_all = False

    def results(self, timeout: float | None) -> Iterator[R]:
        """Give the results as they come.

        It ends when *timeout* seconds are over, or nobody listens any more: nothing
        more is then begun, and what is under way is left to its threads.

        Raises:
            RuntimeError: There are not as many threads to be had.
        """
        until = None if timeout is None else SYSTEM_TIME.steady() + timeout
        try:
            for work in (self._take, *[self._labour] * self._threads):
                run = contextvars.copy_context().run
                threading.Thread(
                    target=run, args=(work,), name="holdover-parallel", daemon=True
                ).start()
            yield from self._until(until)
        finally:
            self.stop()

    def stop(self) -> list[T]:
        """Begin nothing more; give what is still under way."""
        with self._lock:
            self._stopping = True
            left = list(self._under_way.values())
        self._room.release()  # for the thread that takes things, to see it
        for _ in range(self._threads):
            self._work.put(None)
        return left

    def _until(self, until: float | None) -> Iterator[R]:
        at_work = self._threads
        while at_work:
            left = None if until is None else until - SYSTEM_TIME.steady()
            if left is not None and left <= 0:
                return
            try:
                result = self._done.get(timeout=left)
            except queue.Empty:
                return
            if result is None:
                at_work -= 1
            else:
                self._room.release()
                yield result

    def finished(self) -> Iterator[R]:
        """Give the results that have come and were not given yet."""
        while True:
            try:
                result = self._done.get_nowait()
            except queue.Empty:
                return
            if result is not None:
                yield result

    # -- in threads ------------------------------------------------------------

    def _take(self) -> None:
        try:
            for thing in self._things:
                self._room.acquire()
                if self._stopping:
                    return
                self._work.put(thing)
            self.has_taken_all = True
        finally:
            for _ in range(self._threads):
                self._work.put(None)

    def _labour(self) -> None:
        try:
            while (thing := self._work.get()) is not None and self._begin(thing):
                pass
        finally:
            self._done.put(None)

    def _begin(self, thing: T) -> bool:
        """Do it, unless nothing more is to be begun; say whether to go on."""
        number = next(self._numbers)
        with self._lock:
            if self._stopping:
                return False
            self._under_way[number] = thing
        result = self._do(thing)
        with self._lock:
            del self._under_way[number]
            if not self._stopping:
                self._done.put(result)
        return True
