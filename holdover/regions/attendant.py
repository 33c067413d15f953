"""Running what is due: claimed, bounded, noted, and told of when it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dogpile.cache.api import NO_VALUE

from holdover.regions import events
from holdover.regions.backends.grants import Busy
from holdover.regions.crew import Crew
from holdover.regions.errands import Errand
from holdover.regions.errors import BackendError, CommandFailed
from holdover.regions.forks import renew_after_fork
from holdover.regions.ordering import Chain
from holdover.regions.progress import (
    Begin,
    GiveUp,
    Note,
    Progress,
    Wait,
    look_again_at,
    next_step,
)
from holdover.regions.recording import Records
from holdover.regions.refresh.base import Job, Origin, Outcome, RefreshOrder
from holdover.regions.runs import Failure, Run
from holdover.regions.schedule import Schedule
from holdover.regions.slotbook import Claim

log = logging.getLogger("holdover")

ORDER = "%schedule:"
"""What the registered name of a schedule begins with; no function's does."""

_MARGIN = 60.0  # seconds beyond max_runtime to note how a run ended
_LONGEST_REPORT = 60.0  # seconds; a mail has several steps of ten
_SOON = 1.0  # seconds until somebody looks again who was not quick enough
_LOST = Failure(error="lost: whoever was to run it never said how it ended")

Work = Callable[[Schedule], Any]


@dataclass(frozen=True, slots=True)
class Attended:
    """What came of looking after a schedule.

    Attributes:
        until: When to look again (wall clock).
        run: What was run here, if anything was.
    """

    until: float
    run: Run | None = None


class Attendant:
    """Looks after the schedules of one region.

    Args:
        region: The region's name.
        records: What is kept of its schedules.
        crew: Whom its calls are answered with.
        work: Does what a schedule says, and gives its value.
    """

    def __init__(self, region: str, records: Records, crew: Crew, work: Work) -> None:
        self._region = region
        self._records = records
        self._crew = crew
        self._work = work
        self._seen: dict[str, Progress] = {}  # for stores that forget
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent its threads."""
        self._lock = threading.Lock()  # guards the one below
        self._left: dict[str, Errand[Any]] = {}  # runs that took too long, and go on

    def attend(self, schedule: Schedule, chain: Chain) -> Attended:
        """Begin what is due, if nobody else has, and see it through.

        Args:
            schedule: The schedule.
            chain: The region's runners: a queue's worker is to run it. An empty one
                means that it is run here.
        """
        queued = chain.takes_orders
        try:
            taken = self._take(schedule, queued=queued)
        except BackendError:
            # Nobody can say whether others run it; it is caught up when they can.
            return Attended(self._crew.time.wall() + _SOON)
        if isinstance(taken, Wait):
            return Attended(taken.until)
        if queued:
            self._order(schedule, taken, chain)
            return Attended(self._crew.time.wall() + taken.lease.ttl)
        return self.carry_out(schedule, taken)

    # -- claiming --------------------------------------------------------------

    def _take(self, schedule: Schedule, *, queued: bool) -> Claim | Wait:
        """Claim the slot that is due; or say until when there is nothing to do.

        Raises:
            BackendError: The backend cannot be reached.
        """
        now = self._crew.time.wall()
        if self._is_overrunning(schedule):
            return Wait(now + _SOON)
        key = self._records.slot_key(schedule.name)
        seen = self._records.book.look(key)
        progress = seen.value or self._seen.get(schedule.name)
        step = next_step(progress, schedule.due, now, retries=schedule.retries)
        if isinstance(step, Wait):
            return step
        claim = self._records.book.claim(
            key, seen, step.progress, queued=queued and isinstance(step, Begin)
        )
        if claim is None:
            return Wait(now + _SOON)
        if isinstance(claim, Busy):
            return Wait(now + max(claim.expires_in, 0.0))
        self._remember(schedule, step.progress)
        return self._taken(schedule, claim, step)

    def _taken(
        self, schedule: Schedule, claim: Claim, step: Begin | Note | GiveUp
    ) -> Claim | Wait:
        """Go on with a claim as was decided."""
        now = self._crew.time.wall()
        if isinstance(step, Begin):
            if step.lost is not None:
                self._note_lost(schedule, claim, step.lost)
            return claim
        if isinstance(step, Note):
            self._records.book.settle(claim, step.progress)
            return Wait(schedule.due.next_after(now))
        run = self._note_lost(schedule, claim, step.progress)
        ended = self._settle(schedule, claim, run)
        return Wait(_look_again(schedule, ended, now))

    def _note_lost(self, schedule: Schedule, claim: Claim, lost: Progress) -> Run:
        """Note that a run's runner died; telling of it may take longer than a lease."""
        with self._records.book.holding(claim, _LONGEST_REPORT + _MARGIN):
            return self._note(schedule, self._run(schedule, lost, 0.0, _LOST))

    def _is_overrunning(self, schedule: Schedule) -> bool:
        """Say whether a run that was given up still goes on in this process."""
        with self._lock:
            left = self._left.get(schedule.name)
            if left is not None and left.is_done:
                del self._left[schedule.name]
            return schedule.name in self._left

    # -- running ---------------------------------------------------------------

    def carry_out(self, schedule: Schedule, claim: Claim) -> Attended:
        """Run what was claimed, note what came of it, and let others go on."""
        time = self._crew.time
        began = time.steady()
        with self._records.book.holding(claim, schedule.max_runtime + _MARGIN):
            found = self._outcome(schedule)
            cost = time.steady() - began
            run = self._note(schedule, self._run(schedule, claim.progress, cost, found))
        ended = self._settle(schedule, claim, run)
        return Attended(_look_again(schedule, ended, time.wall()), run)

    def _outcome(self, schedule: Schedule) -> Any:
        """Give the value of a run, or its `Failure`."""
        try:
            if schedule.command is not None:
                return schedule.command.run(schedule.max_runtime)
            return self._within_its_time(schedule)
        except CommandFailed as error:
            return Failure(error=str(error), details=error.output)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            return Failure.of(error)

    def _within_its_time(self, schedule: Schedule) -> Any:
        found = _tried(lambda: self._work(schedule), schedule.max_runtime)
        if not isinstance(found, Errand):
            return found
        with self._lock:
            self._left[schedule.name] = found
        return Failure(
            error=f"it took longer than max_runtime={schedule.max_runtime:g} s; its "
            "thread goes on"
        )

    def _run(
        self, schedule: Schedule, progress: Progress, cost: float, found: Any
    ) -> Run:
        """Put into words what came of a slot."""
        failure = found if isinstance(found, Failure) else None
        return Run(
            region=self._region,
            name=schedule.name,
            slot_at=progress.slot_at,
            begun_at=progress.begun_at,
            duration=cost,
            value=NO_VALUE if failure else found,
            error=failure.error if failure else "",
            details=failure.details if failure else "",
        )

    def _note(self, schedule: Schedule, run: Run) -> Run:
        """Keep a run, and tell of it; give it as it was kept."""
        key = self._records.history_key(schedule.name)
        try:
            run = self._records.history.add(key, run, schedule.history)
        except BackendError as error:
            self._crew.tier.tell(
                events.BackendFailed, schedule.name, f"a run was not kept: {error}"
            )
        self._tell(run)
        if run.has_failed:
            _report(schedule, run)
        return run

    def _tell(self, run: Run) -> None:
        told: dict[str, Any] = {
            "region": self._region,
            "key": run.name,
            "slot_at": run.slot_at,
            "begun_at": run.begun_at,
            "cost": run.duration,
        }
        if not run.has_failed:
            self._crew.listeners.tell(events.RunEnded(**told))
            return
        reason = f"the schedule {run.name!r}: {run.error}"
        failed = events.RunFailed(**told, reason=reason, error=run.error)
        self._crew.listeners.tell(failed)

    def _settle(self, schedule: Schedule, claim: Claim, run: Run) -> Progress:
        """Note that a run has ended, and let others go on."""
        ended = claim.progress.ended(
            now=self._crew.time.wall(),
            failed=run.has_failed,
            backoff=self._crew.creator_terms.backoff,
            retry_after=schedule.retry_after,
        )
        self._records.book.settle(claim, ended)
        self._remember(schedule, ended)
        return ended

    def _remember(self, schedule: Schedule, progress: Progress) -> None:
        self._seen[schedule.name] = progress

    # -- by a queue's worker ---------------------------------------------------

    def _order(self, schedule: Schedule, claim: Claim, chain: Chain) -> None:
        """Have a worker run what was claimed."""
        now = self._crew.time.wall()
        order = RefreshOrder(
            region=self._region,
            function=ORDER + schedule.name,
            args=[claim.progress.slot_at],
            kwargs={},
            key=schedule.name,
            token=claim.lease.token,
            clock=claim.lease.clock,
            not_after=now + claim.lease.ttl,
            ordered_at=now,
        )
        job = Job(
            key=schedule.name,
            carry_out=lambda: self.fulfil(schedule, order),
            order=order,
        )
        chain.dispatch(job, lambda reason: self._give_back(schedule, claim, reason))

    def _give_back(self, schedule: Schedule, claim: Claim, reason: str) -> None:
        """Let others try, since no runner could be told."""
        self._crew.tier.tell(events.OrderFailed, schedule.name, reason)
        self._records.book.settle(claim, claim.progress.returned())

    def fulfil(self, schedule: Schedule, order: RefreshOrder) -> Outcome:
        """Carry out an order, in a worker, unless it was overtaken."""
        lag = Origin.of(order, None).lag(self._crew.time.wall())
        return replace(self._fulfil(schedule, order), lag=lag)

    def _fulfil(self, schedule: Schedule, order: RefreshOrder) -> Outcome:
        key = self._records.slot_key(schedule.name)
        try:
            claim = self._records.book.adopt(key, order.token, order.args[0])
        except BackendError as error:
            return Outcome(done=False, reason=str(error))
        if claim is None:
            self._crew.tier.tell(events.OrderDropped, schedule.name, "overtaken")
            return Outcome(done=False, reason="overtaken")
        run = self.carry_out(schedule, claim).run
        if run is None or run.has_failed:
            return Outcome(done=False, reason=f"it failed: {run and run.error}")
        return Outcome(done=True, reason="refreshed", cost=run.duration)


def _look_again(schedule: Schedule, ended: Progress, now: float) -> float:
    return look_again_at(ended, schedule.due, now, retries=schedule.retries)


def _report(schedule: Schedule, run: Run) -> None:
    """Call ``on_error`` with a failed run, which it can neither hold up nor undo."""
    if schedule.on_error is None:
        return
    found = _tried(partial(schedule.on_error, run), _LONGEST_REPORT)
    if isinstance(found, Errand):
        problem = f"takes longer than {_LONGEST_REPORT:g} s; its thread goes on"
        log.warning("on_error of the schedule %r %s", schedule.name, problem)
    elif isinstance(found, Failure):
        log.error(
            "on_error of the schedule %r failed\n%s", schedule.name, found.details
        )


def _tried(work: Callable[[], Any], timeout: float) -> Any:
    """Give what comes of the user's *work*, or its `Failure`; nothing is raised.

    Returns:
        The `Errand`, if it goes on after *timeout* seconds.
    """
    try:
        errand = Errand(work, lambda _: None)
    except RuntimeError:  # a server without threads: nobody could look at a clock
        return _done(work)
    return _done(errand.outcome) if errand.is_done_within(timeout) else errand


def _done(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except BaseException as error:  # noqa: BLE001 - such as asyncio's CancelledError
        return Failure.of(error)
