"""A round trip to a worker: an order for nothing but an answer, and the answer.

It travels as every refresh does, and its answer is committed under the lease that it
brings along: what is proved is all that a refresh needs.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdover.regions import events
from holdover.regions.backends.grants import Lease, LeaseKind
from holdover.regions.diagnosing import PROBE_LIFETIME, told_skew
from holdover.regions.envelope import ABSENT
from holdover.regions.errands import Errand
from holdover.regions.errors import BackendError
from holdover.regions.events import Event, Listeners
from holdover.regions.findings import Finding, Health
from holdover.regions.freshness import Freshness
from holdover.regions.keys import PROBE
from holdover.regions.numbers import is_instant
from holdover.regions.refresh.base import Job, Outcome, RefreshOrder, Runner
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource

_LOOK_EVERY = 0.02  # seconds
_LATE = 30.0  # seconds: orders lapse then
_MARGIN = 5.0  # seconds that the lease outlasts the wait
_SLOW_BROKER = 0.2  # seconds: what publishing takes at most by default


def answer(now: float) -> str:
    """Say who answers; for the worker. A text, which every codec should encode.

    Args:
        now: The time of day, by the worker's clock.
    """
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "at": now})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProbe:
    """One round trip.

    Attributes:
        tier: The region's entries.
        listeners: Who hears of what cannot be read.
        time: The clocks to go by.
        user_key: The probe's key, as a user would give it.
        key: The same as it is stored.
        task_options: How the region's orders travel.
    """

    tier: Tier
    listeners: Listeners
    time: TimeSource
    user_key: str
    key: str
    task_options: Mapping[str, Any]

    def examine(self, runner: Runner, timeout: float) -> Iterator[Finding]:
        """Order an answer by *runner*, and wait for it.

        Args:
            runner: The queue.
            timeout: Seconds to wait for the broker, and then for the worker.
        """
        lease = self.tier.acquire(
            self.key, ABSENT, PROBE_LIFETIME, 2 * timeout + _MARGIN, queued=True
        )
        if not isinstance(lease, Lease):
            advice = "see what ails the backend"
            found = "no lease was to be had, without which nothing is ordered"
            yield Finding("broker", Health.FAIL, found, advice)
            return
        try:
            sent_at = self.time.wall()
            broker = self._publish(runner, lease, timeout)
            yield broker
            if broker.health is not Health.FAIL:
                yield from self._await_answer(runner, sent_at, timeout)
        finally:
            self.tier.remove(self.key)

    def _publish(self, runner: Runner, lease: Lease, timeout: float) -> Finding:
        """Hand the order over, and tell how that went."""
        order = self._order(lease, timeout)
        options = self.task_options
        job = Job(self.user_key, carry_out=_not_here, order=order, task_options=options)
        begun = self.time.steady()
        errand = Errand(lambda: runner.submit(job), lambda _: None)
        advice = f"start the broker of {runner.name!r}, or correct its address"
        place = self._told_by(runner, "place")
        name = f"{runner.name} ({place})" if place else runner.name
        if not errand.is_done_within(timeout):
            found = f"{name} has not taken a message in {timeout:g} s"
            return Finding("broker", Health.FAIL, found, advice)
        try:
            errand.outcome()
        except Exception as error:  # noqa: BLE001 - each queue's client has its own
            found = f"{name} takes no message: {error!r:.300}"
            return Finding("broker", Health.FAIL, found, advice)
        took = self.time.steady() - begun
        found = f"{name} took a message in {took * 1000:.2g} ms"
        if took <= _SLOW_BROKER:
            return Finding("broker", Health.OK, found)
        advice = "if orders fail at times, raise the runner's publish_timeout"
        return Finding("broker", Health.WARN, found, advice)

    def _told_by(self, runner: Runner, what: str) -> str:
        """Ask a runner for what it need not know."""
        tell = getattr(runner, what, None)
        return "" if tell is None else str(tell(self.task_options))

    def _order(self, lease: Lease, timeout: float) -> RefreshOrder:
        now = self.time.wall()
        return RefreshOrder(
            region=self.tier.region,
            function=PROBE,
            args=[],
            kwargs={},
            key=self.user_key,
            token=lease.token,
            clock=lease.clock,
            not_after=now + 2 * timeout,
            ordered_at=now,
            read_at=now,
        )

    # -- the answer ------------------------------------------------------------

    def _await_answer(
        self, runner: Runner, sent_at: float, timeout: float
    ) -> Iterator[Finding]:
        unreadable: list[str] = []

        def hear(event: Event) -> None:
            if isinstance(event, events.Unreadable) and event.key == self.key:
                unreadable.append(event.reason)

        self.listeners.add(hear)
        try:
            found = self._awaited(unreadable, timeout)
        finally:
            self.listeners.remove(hear)
        if found is None:
            yield self._missing(runner, unreadable, timeout)
        else:
            yield from self._told(found, sent_at)

    def _awaited(self, unreadable: list[str], timeout: float) -> object:
        """Give the answer; None if there is none in time, or none that can be read."""
        deadline = self.time.steady() + timeout
        while self.time.steady() < deadline and not unreadable:
            found = self.tier.look(self.key, PROBE_LIFETIME)
            if found.freshness is not Freshness.GONE:
                value: object = found.entry.value
                return value
            self.time.sleep(_LOOK_EVERY)
        return None

    def _told(self, found: object, sent_at: float) -> Iterator[Finding]:
        now = self.time.wall()
        try:
            told = json.loads(str(found))
            who = f"pid {told['pid']!s:.20} on {told['host']!s:.255}"
            at = told["at"]
        except (LookupError, RecursionError, TypeError, ValueError):
            at = None
        if not is_instant(at):
            advice = "let web processes and workers use one release"
            yield Finding("worker", Health.WARN, f"it answered {found!r:.80}", advice)
            return
        took = f"in {(now - sent_at) * 1000:.0f} ms"
        yield Finding("worker", Health.OK, f"a worker answered {took}: {who}")
        yield told_skew(at, (sent_at, now), whose="the worker's clock", harmful=_LATE)

    def _missing(
        self, runner: Runner, unreadable: list[str], timeout: float
    ) -> Finding:
        """Say how far the order has come."""
        if unreadable:
            found = f"a worker answered, and that cannot be read here: {unreadable[0]}"
            advice = "give workers and this process one secret and one codec"
            return Finding("worker", Health.FAIL, found, advice)
        try:
            busy = self.tier.leased(self.key)
        except BackendError as error:
            found, advice = str(error), "see what ails the backend"
            return Finding("worker", Health.FAIL, found, advice)
        if busy is None or busy.kind is not LeaseKind.QUEUED:
            found = f"a worker took the order, and stored nothing in {timeout:g} s"
            advice = "see the worker's log, and what it may write to"
            return Finding("worker", Health.FAIL, found, advice)
        found = f"no worker answered in {timeout:g} s"
        command = self._told_by(runner, "worker_command")
        example = f" ({command})" if command else ""
        advice = (
            f"is one running{example}, does it serve the queue, does it import the "
            "module that configures the region, and is its backend the same?"
        )
        return Finding("worker", Health.FAIL, found, advice)


def _not_here() -> Outcome:
    """Stand for the work in this process, which would prove nothing."""
    return Outcome(done=False, reason="this was to be done by a worker")
