"""The embedded scheduler: runs what is due, of any number of regions."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from holdover.regions.background import Pool
from holdover.regions.errors import ConfigurationError, UnknownSchedule, unknown
from holdover.regions.forks import renew_after_fork
from holdover.regions.gathering import Regions, gathered
from holdover.regions.runs import Run
from holdover.regions.scheduling import SchedulingRegion
from holdover.regions.timesource import SYSTEM_TIME, TimeSource

log = logging.getLogger("holdover")

_LONGEST_SLEEP = 30.0  # seconds; somebody may set the clock, or add a schedule
_AFTER_AN_ERROR = 5.0


Which = tuple[SchedulingRegion, str]


class Scheduler:
    """Runs the schedules of regions when they are due, until it is told to stop.

    Any number of schedulers may run, in any number of processes and on any number of
    hosts: those that share a region's backend share the work. ``holdover run`` runs one
    in a process of its own; `start` runs one in a thread of this process, which a
    fork's child does not inherit::

        scheduler = Scheduler(registry)
        scheduler.start()

    Args:
        regions: A registry, a region, or several.
        threads: How many runs are under way at once, in threads of this process; 0
            means one after the other, in the scheduler's own.
        names: The schedules to run, by name; none means all.
        time_source: The clock to go by; for tests.

    Raises:
        ConfigurationError: *threads* is no number, or a region cannot run schedules.
        UnknownSchedule: There is none of that name.
    """

    def __init__(
        self,
        regions: Regions[SchedulingRegion]
        | SchedulingRegion
        | Iterable[SchedulingRegion],
        *,
        threads: int = 4,
        names: Iterable[str] = (),
        time_source: TimeSource = SYSTEM_TIME,
    ) -> None:
        _check_count(threads)
        self._regions = regions
        self._names = frozenset(names)
        self._time = time_source
        self._pool = None
        if threads:
            self._pool = Pool("holdover-schedule", threads=threads, backlog=10_000)
        self.after_fork()
        renew_after_fork(self)
        self._check()

    def after_fork(self) -> None:
        """Leave the parent its thread and what it runs."""
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()  # while stopping
        self._lock = threading.Lock()  # guards all below
        self._looks_at: dict[Which, float] = {}
        self._under_way: set[Which] = set()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def _check(self) -> None:
        all_of_them: set[str] = set()
        for region in self._listed():
            all_of_them.update(region.schedules)
            if region.schedules:
                region.check_schedules()
        for name in self._names - all_of_them:
            raise UnknownSchedule(unknown("schedule", name, all_of_them))

    # -- running ---------------------------------------------------------------

    def run_once(self) -> list[Run]:
        """Run what is due now, and wait for it. For crontab.

        Returns:
            What was run here, failed runs among it.
        """
        done: queue.SimpleQueue[Run | None] = queue.SimpleQueue()

        def attend(which: Which) -> None:
            run = None
            try:
                run = self._attend(which)
            finally:
                done.put(run)

        wanted = self._wanted()
        for which in wanted:
            self._do(partial(attend, which))
        runs = [done.get() for _ in wanted]
        return [run for run in runs if run is not None]

    def begin_due(self) -> float:
        """Begin what is due now; give when something is due next (wall clock).

        With threads, runs may still be under way when it returns.
        """
        now = self._time.wall()
        for which in self._wanted():
            with self._lock:
                if which in self._under_way or self._looks_at.get(which, now) > now:
                    continue
                self._under_way.add(which)
            self._do(partial(self._attend, which))
        with self._lock:
            looks = (at for w, at in self._looks_at.items() if w not in self._under_way)
            return min(looks, default=now + _LONGEST_SLEEP)

    def _do(self, work: Callable[[], object]) -> None:
        """Do *work* in a thread, or in this one if there is none to be had."""
        if self._pool is None or not self._pool.submit(work):
            work()

    def _attend(self, which: Which) -> Run | None:
        """Look after one schedule; whatever goes wrong is not the others' trouble."""
        region, name = which
        until, run = self._time.wall() + _AFTER_AN_ERROR, None
        try:
            attended = region.attend(name)
            until, run = attended.until, attended.run
        except Exception:  # a mistake of ours or a region that was taken apart
            log.exception("the schedule %r could not be looked after", name)
        finally:
            with self._lock:
                self._looks_at[which] = until
                self._under_way.discard(which)
            self._woken.put(None)
            if self._stopping:
                self._ended.put(None)
        return run

    def run(self) -> None:
        """Run what is due, in this thread, until `stop` is called by another."""
        while not self._stopping:
            until = self.begin_due()
            wait = min(max(until - self._time.wall(), 0.0), _LONGEST_SLEEP)
            with suppress(queue.Empty):
                self._woken.get(timeout=wait)
                while True:  # who looks now sees all that woke him
                    self._woken.get_nowait()

    def start(self) -> None:
        """Run in a thread of this process, unless that runs already.

        Raises:
            RuntimeError: No thread can be started; `run` needs none.
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopping = False
            self._thread = threading.Thread(
                target=self.run, name="holdover-scheduler", daemon=True
            )
            self._thread.start()

    def stop(self, wait: float = 0.0) -> bool:
        """Begin nothing more.

        Args:
            wait: Seconds to wait, at most, for what is under way.

        Returns:
            Whether nothing is under way any more. What is goes on for as long as this
            process lives; what its end interrupts is run once more, elsewhere.
        """
        self._stopping = True
        self._woken.put(None)
        until = SYSTEM_TIME.steady() + wait
        while self._under_way and (left := until - SYSTEM_TIME.steady()) > 0:
            with suppress(queue.Empty):
                self._ended.get(timeout=left)
        return not self._under_way

    # -- small steps -----------------------------------------------------------

    def _wanted(self) -> list[Which]:
        return [
            (region, name)
            for region in self._listed()
            for name in list(region.schedules)
            if not self._names or name in self._names
        ]

    def _listed(self) -> list[SchedulingRegion]:
        return gathered(self._regions, SchedulingRegion)


def _check_count(threads: object) -> None:
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
        raise ConfigurationError(f"threads must be 0 or more, got {threads!r:.80}")
