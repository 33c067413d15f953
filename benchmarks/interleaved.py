"""Timing several subjects in one process, interleaved, so that their ratios hold.

Each round times every subject for some milliseconds, in shuffled order, so that a
change in the machine's speed meets all of them alike.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence


class Timed:
    """A subject: what is called, and what one call took in each round.

    Attributes:
        call: What is timed.
        times: Microseconds of one call, by round.
        at_once: How many calls are made from one look at the clock to the next.
    """

    call: Callable[[], object]
    times: list[float]
    at_once: int = 20

    @property
    def best(self) -> float:
        return min(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def measure(measured: Sequence[Timed], rounds: int, seconds: float) -> None:
    """Time all subjects, each for so many seconds in each round."""
    for one in measured:
        time_one(one, seconds)  # warms up
        one.times.clear()
    for _ in range(rounds):
        for one in random.sample(measured, len(measured)):
            time_one(one, seconds)


def time_one(one: Timed, seconds: float) -> None:
    """Time as many calls as fit, and note the microseconds of one."""
    call, at_once, count = one.call, one.at_once, 0
    started = now = time.perf_counter()
    while now - started < seconds:
        for _ in range(at_once):
            call()
        count += at_once
        now = time.perf_counter()
    one.times.append((now - started) / count * 1e6)
