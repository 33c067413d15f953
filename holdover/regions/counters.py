"""Counting what happens in a region of this process, without holding anyone up.

A hit is one step of C; all else is put on a queue, which is counted now and then by
whoever finds it long. That may be a signal handler, or the end of an object, within the
thread that is counting at that very moment: it leaves the rest to the latter.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from holdover.regions import events
from holdover.regions.forks import renew_after_fork
from holdover.regions.samples import Samples
from holdover.regions.timesource import TimeSource

if TYPE_CHECKING:
    from holdover.regions.figures import Figures

_MOST_UNCOUNTED = 256

_COUNTED: dict[type[events.Event], str] = {
    events.Missed: "misses",
    events.CreatorRaised: "creator_failures",
    events.RefreshFailed: "refresh_failures",
    events.Ordered: "orders",
    events.OrderFailed: "orders_failed",
    events.OrderPostponed: "orders_postponed",
    events.OrderDropped: "orders_dropped",
    events.LeaseLost: "leases_lost",
    events.BackendFailed: "backend_failures",
    events.Unreadable: "unreadable",
    events.Uncacheable: "uncacheable",
    events.KeyAdded: "keys_added",
    events.KeyRefused: "keys_refused",
}
_MEASURED: dict[type[events.Event], dict[str, str]] = {  # figure -> attribute
    events.Created: {"created": "cost"},
    events.Refreshed: {"refreshed": "cost", "lag": "lag"},
    events.Waited: {"waits": "waited"},
}


class StepCounter:
    """Counts one by one, at the price of a step of C.

    Attributes:
        one_more: Counts one.
    """

    def __init__(self) -> None:
        self.one_more = _steps()
        self._reads = 0  # each of which has counted, too
        self._before = 0

    def total(self) -> int:
        """Tell how many there were; for one thread at a time."""
        steps = self.one_more()
        total = steps - self._reads
        self._reads += 1
        return total - self._before

    def start_over(self) -> None:
        """Begin at 0."""
        self._before += self.total()


def _steps() -> Callable[[], int]:
    """Give what returns 0, 1, 2 and so on, each once, to any number of threads."""
    step = itertools.count().__next__
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        return step
    lock = threading.Lock()  # the GIL's part, where there is none

    def one_at_a_time() -> int:
        with lock:
            return step()

    return one_at_a_time


class Counters:
    """Counts what happens in one region.

    Attributes:
        hit: Counts a fresh value that was served; other than near.
        near_hit: Counts one from the near cache.
    """

    def __init__(self) -> None:
        self._hits = StepCounter()
        self._near_hits = StepCounter()
        self._begin: Callable[[], object] | None = None
        self._is_in_use = False
        self.hit: Callable[[], object]
        self.near_hit: Callable[[], object]
        self._start_over()
        renew_after_fork(self)

    def _start_over(self) -> None:
        self._lock = threading.RLock()  # guards all below but the queues
        self._is_counting = False
        self._counts: Counter[str] = Counter()
        measured = ["stale", *(name for of in _MEASURED.values() for name in of)]
        self._samples = {name: Samples() for name in measured}
        self._degraded_for = 0.0
        self._uncounted: deque[events.Event] = deque()
        self._ages: deque[float] = deque()  # of old values, uncounted as well
        self._wait_for_use()

    def after_fork(self) -> None:
        """Begin at 0: what the parent has seen is told by the parent."""
        self._hits.start_over()
        self._near_hits.start_over()
        self._start_over()

    # -- the first use ---------------------------------------------------------

    def on_use(self, begin: Callable[[], object] | None) -> None:
        """Have *begin*, if any, called by what is counted next; so in each fork."""
        self._begin = begin
        self._wait_for_use()

    def _wait_for_use(self) -> None:
        # In place of a question at each hit.
        self.hit, self.near_hit = self._first_hit, self._first_near_hit
        self._is_in_use = False

    def _first_hit(self) -> int:
        self._be_in_use()
        return self._hits.one_more()

    def _first_near_hit(self) -> int:
        self._be_in_use()
        return self._near_hits.one_more()

    def _be_in_use(self) -> None:
        self._is_in_use = True
        self.hit, self.near_hit = self._hits.one_more, self._near_hits.one_more
        if self._begin is not None:
            self._begin()

    # -- counting --------------------------------------------------------------

    def count(self, event: events.Event) -> None:
        """See `Counting.count`."""
        if not self._is_in_use:
            self._be_in_use()
        self._uncounted.append(event)
        if len(self._uncounted) >= _MOST_UNCOUNTED:
            self._count_all()

    def stale(self, age: float) -> None:
        """See `Counting.stale`."""
        if not self._is_in_use:
            self._be_in_use()
        self._ages.append(age)
        if len(self._ages) >= _MOST_UNCOUNTED:
            self._count_all()

    def degraded(self, seconds: float) -> None:
        """Count time in which a backend, which is replaced now, was left alone."""
        self._degraded_for += seconds

    def _count_all(self) -> None:
        with self._lock:
            if self._is_counting:
                return
            try:
                self._is_counting = True
                self._empty_the_queues()
            finally:
                self._is_counting = False

    def _empty_the_queues(self) -> None:
        while self._ages:
            self._samples["stale"].add(self._ages.popleft())
        while self._uncounted:
            event = self._uncounted.popleft()
            kind = type(event)
            if kind in _COUNTED:
                self._counts[_COUNTED[kind]] += 1
            for name, attribute in _MEASURED.get(kind, {}).items():
                self._samples[name].add(getattr(event, attribute))

    def figures(self, degraded_for: float = 0.0) -> Figures:
        """Give what was counted so far.

        Args:
            degraded_for: Seconds in which the present backend was left alone.
        """
        from holdover.regions.figures import Figures, Histogram

        with self._lock:
            self._count_all()
            samples = {
                name: Histogram(*one.totals()) for name, one in self._samples.items()
            }
            near_hits = self._near_hits.total()
            return Figures(
                hits=self._hits.total() + near_hits,
                near_hits=near_hits,
                degraded_for=self._degraded_for + degraded_for,
                **self._counts,  # type: ignore[arg-type] # by name
                **samples,  # type: ignore[arg-type] # by name
            )


class Outage:
    """Counts the seconds in which at least one of several things is out of order."""

    def __init__(self, time_source: TimeSource) -> None:
        self._now = time_source.steady
        self._out = 0
        self._since = 0.0
        self._before = 0.0
        self._lock = threading.Lock()  # guards all above
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin at 0; what is out of order still is."""
        self._lock = threading.Lock()
        self._before, self._since = 0.0, self._now()

    def begin(self) -> None:
        """One more is out of order."""
        with self._lock:
            if not self._out:
                self._since = self._now()
            self._out += 1

    def end(self) -> None:
        """One is well again."""
        with self._lock:
            self._out -= 1
            if not self._out:
                self._before += self._now() - self._since

    def seconds(self) -> float:
        """Tell how long it was so, all together."""
        with self._lock:
            return self._before + (self._now() - self._since if self._out else 0.0)
