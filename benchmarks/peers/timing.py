"""How calls are timed: one after the other, by eight threads, or by eight tasks."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from peers.subject import CROWD, Call

_GLANCE = 0.001  # seconds from one look at the clock to the next
_MOST = 1000  # calls in between


def timer_of(call: Call, case: str) -> Timer:
    """Give what times a call, as its case wants it: one after the other, or a crowd."""
    crowd = CROWD if case == "threads" else 1
    if inspect.iscoroutinefunction(call):
        return TaskTimer(call, crowd)
    return ThreadTimer(call, crowd) if crowd > 1 else Timer(call)


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
        self._batch = max(1, min(_MOST, int(_GLANCE / self.time(_GLANCE) * 1e6)))

    def time(self, seconds: float) -> float:
        """Time calls for so many seconds.

        Returns:
            The microseconds from one call's end to the next one's, whoever makes it.
        """
        call, batch, count = self._call, self._batch, 0
        started = now = time.perf_counter()
        while now - started < seconds:
            for _ in range(batch):
                call()
            count += batch
            now = time.perf_counter()
        return (now - started) / count * 1e6


class ThreadTimer(Timer):
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

    def time(self, seconds: float) -> float:
        """Time calls, from when the first thread begins until the last one ends."""
        works = [self._pool.submit(self._work, seconds) for _ in range(self._crowd)]
        done = [one.result() for one in works]
        ended = max(end for _, end in done)
        return (ended - self._started) / sum(count for count, _ in done) * 1e6

    def _start(self) -> None:
        self._started = time.perf_counter()

    def _work(self, seconds: float) -> tuple[int, float]:
        call, batch, count = self._call, self._batch, 0
        call()  # connects, the first time
        self._line.wait()
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
        crowd: How many tasks there are.
    """

    def __init__(self, call: Call, crowd: int) -> None:
        super().__init__(call)
        self._crowd = crowd
        self._loop = asyncio.new_event_loop()

    def once(self) -> Any:
        """Give what one call gives."""
        return self._loop.run_until_complete(self._call())

    def time(self, seconds: float) -> float:
        """Time calls, from when the first task begins until the last one ends."""
        return self._loop.run_until_complete(self._round(seconds))

    async def _round(self, seconds: float) -> float:
        started = time.perf_counter()
        works = [self._work(started + seconds) for _ in range(self._crowd)]
        counts = await asyncio.gather(*works)
        return (time.perf_counter() - started) / sum(counts) * 1e6

    async def _work(self, until: float) -> int:
        call, batch, count = self._call, self._batch, 0
        while not count or time.perf_counter() < until:
            for _ in range(batch):
                await call()
            count += batch
        return count
