"""How calls are timed: one after the other, by eight threads, or by eight tasks."""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from peers.subject import CROWD, Call

_GLANCE = 0.001  # seconds from one look at the clock to the next, more or less
_TRIES = 5
_MOST = 1 << 15  # calls in between
_PATIENCE = 60.0  # seconds: if one of a crowd fails, the others do not wait for ever


class Round(NamedTuple):
    """What one call took in one round, in microseconds.

    Attributes:
        mean: All of the round, with what disturbed it.
        fastest: The fastest millisecond of it, which nothing has disturbed if there was
            one; of a crowd, the mean.
    """

    mean: float
    fastest: float


def timer_of(call: Call, case: str) -> Timer:
    """Give what times a call, as its case wants it: one after the other, or a crowd."""
    if inspect.iscoroutinefunction(call):
        return TaskCrowd(call, CROWD) if case == "threads" else TaskTimer(call)
    return ThreadCrowd(call, CROWD) if case == "threads" else Timer(call)


class Timer:
    """Times calls, one after the other, in this thread.

    Args:
        call: What is timed.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._batch = 1  # calls from one look at the clock to the next

    def once(self) -> Any:
        """Give what one call gives."""
        return self._call()

    def settle(self) -> None:
        """Find out how rarely the clock need be looked at."""
        while self._batch < _MOST:
            taken = min(self._glance().fastest for _ in range(_TRIES)) * self._batch
            if taken >= _GLANCE / 2 * 1e6:
                return
            self._batch *= 2

    def time(self, seconds: float) -> Round:
        """Time calls for so many seconds."""
        call, batch = self._call, self._batch
        fastest, count = math.inf, 0
        started = last = time.perf_counter()
        while not count or last - started < seconds:
            for _ in range(batch):
                call()
            now = time.perf_counter()
            fastest = min(fastest, now - last)
            count, last = count + batch, now
        return Round((last - started) / count * 1e6, fastest / batch * 1e6)

    def _glance(self) -> Round:
        """Time as many calls as are made between two looks at the clock."""
        return Timer.time(self, 0)


class ThreadCrowd(Timer):
    """Times calls of several threads, which stay from round to round.

    Args:
        call: What is timed.
        crowd: How many threads there are.
    """

    def __init__(self, call: Call, crowd: int) -> None:
        super().__init__(call)
        self._crowd = crowd
        self._pool = ThreadPoolExecutor(crowd)
        self._line = threading.Barrier(crowd, action=self._start)
        self._started = 0.0

    def time(self, seconds: float) -> Round:
        """Time calls, from when the first thread begins until the last one ends."""
        works = [self._pool.submit(self._work, seconds) for _ in range(self._crowd)]
        done = [one.result() for one in works]
        ended = max(end for _, end in done)
        taken = (ended - self._started) / sum(count for count, _ in done) * 1e6
        return Round(taken, taken)

    def _start(self) -> None:
        self._started = time.perf_counter()

    def _work(self, seconds: float) -> tuple[int, float]:
        call, batch, count = self._call, self._batch, 0
        call()  # connects, the first time
        self._line.wait(_PATIENCE)
        now = self._started
        while now - self._started < seconds:
            for _ in range(batch):
                call()
            count += batch
            now = time.perf_counter()
        return count, now


class TaskTimer(Timer):
    """Times calls of asyncio's in one loop, which no round begins anew.

    Args:
        call: What is timed, a coroutine function.
    """

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._loop = asyncio.new_event_loop()

    def once(self) -> Any:
        """Give what one call gives."""
        return self._loop.run_until_complete(self._call())

    def time(self, seconds: float) -> Round:
        """Time calls for so many seconds."""
        return self._loop.run_until_complete(self._one_by_one(seconds))

    async def _one_by_one(self, seconds: float) -> Round:
        call, batch = self._call, self._batch
        fastest, count = math.inf, 0
        started = last = time.perf_counter()
        while not count or last - started < seconds:
            for _ in range(batch):
                await call()
            now = time.perf_counter()
            fastest = min(fastest, now - last)
            count, last = count + batch, now
        return Round((last - started) / count * 1e6, fastest / batch * 1e6)

    def _glance(self) -> Round:
        return self._loop.run_until_complete(self._one_by_one(0))


class TaskCrowd(TaskTimer):
    """Times calls of several tasks at once.

    Args:
        call: What is timed, a coroutine function.
        crowd: How many tasks there are.
    """

    def __init__(self, call: Call, crowd: int) -> None:
        super().__init__(call)
        self._crowd = crowd

    def time(self, seconds: float) -> Round:
        """Time calls, from when the first task begins until the last one ends."""
        return self._loop.run_until_complete(self._together(seconds))

    async def _together(self, seconds: float) -> Round:
        started = time.perf_counter()
        works = [self._work(started + seconds) for _ in range(self._crowd)]
        counts = await asyncio.gather(*works)
        taken = (time.perf_counter() - started) / sum(counts) * 1e6
        return Round(taken, taken)

    async def _work(self, until: float) -> int:
        call, batch, count = self._call, self._batch, 0
        while not count or time.perf_counter() < until:
            for _ in range(batch):
                await call()
            count += batch
        return count
