"""Handing refreshes to runners: queue first, then this process, never the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from holdover.regions.background import Pool
from holdover.regions.breaker import Breaker
from holdover.regions.refresh.base import Job, Runner
from holdover.regions.timesource import SYSTEM_TIME
from holdover.regions.values import frozen

GiveUp = Callable[[str], None]

# Seconds after which a queue's client will not come back to us. Ours are bounded; not
# every broker's is, nor a lock that a thread held while another forked.
_HANGS_AFTER = 5.0


def _publisher() -> Pool:
    return Pool("holdover-publisher", threads=1, backlog=1000)


@frozen
class _Link:
    """A runner, and the breaker that keeps calls away while it fails."""

    runner: Runner
    breaker: Breaker = field(default_factory=Breaker)
    # Publishing may block for as long as a broker is allowed to; a visitor never waits
    # for that, nor do the orders of another queue.
    publisher: Pool = field(default_factory=_publisher)

    def suits(self, job: Job) -> bool:
        """Say whether this runner could carry out *job* at all."""
        return job.order is not None or not self.runner.takes_orders


class Chain:
    """Runners in the order in which they are tried."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._links = [_Link(runner) for runner in runners]
        self._queues_from = 0.0  # when orders may go to queues again

    @property
    def runners(self) -> list[Runner]:
        """The runners, first choice first."""
        return [link.runner for link in self._links]

    def __bool__(self) -> bool:
        return bool(self._links)

    @property
    def takes_orders(self) -> bool:
        """Whether an order that can travel would."""
        return bool(self._links) and self._links[0].runner.takes_orders

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that a queue does not understand.

        Raises:
            ConfigurationError: It names the option.
        """
        for link in self._links:
            check = getattr(link.runner, "check_task_options", None)
            if check is not None:
                check(options)

    def pass_queues_over(self, span: float) -> None:
        """Give orders to this process's own runners for *span* seconds."""
        self._queues_from = SYSTEM_TIME.steady() + span

    def dispatch(self, job: Job, give_up: GiveUp) -> None:
        """Hand *job* to the first runner that takes it.

        Args:
            job: The refresh.
            give_up: Called with the reason if none did.
        """
        self._dispatch(job, give_up, start=0, reason="no runner suits it")

    def _dispatch(self, job: Job, give_up: GiveUp, *, start: int, reason: str) -> None:
        for index in range(start, len(self._links)):
            link = self._links[index]
            if not link.suits(job):
                continue
            if link.runner.takes_orders and not _is_eager(link.runner):
                if SYSTEM_TIME.steady() < self._queues_from:
                    reason = f"{link.runner.name}: it is behind with its orders"
                    continue
                if link.publisher.busy_for() > _HANGS_AFTER:
                    reason = f"{link.runner.name}: its client hangs"
                    continue
                if link.publisher.submit(partial(self._publish, job, give_up, index)):
                    return
                reason = "too many orders wait to be published"
                continue
            failure = _submit(link, job)
            if failure is None:
                return
            reason = failure
        give_up(reason)

    def _publish(self, job: Job, give_up: GiveUp, index: int) -> None:
        """Submit to a queue, in the publisher's thread; on failure, try the next."""
        # Whatever is raised here, such as gevent's Timeout, was meant for the client.
        failure = _submit(self._links[index], job, failures=BaseException)
        if failure is not None:
            self._dispatch(job, give_up, start=index + 1, reason=failure)


def _is_eager(runner: Runner) -> bool:
    """Say whether it carries out in the calling thread, which then is the caller's."""
    return bool(getattr(runner, "is_eager", False))


def _submit(
    link: _Link, job: Job, failures: type[BaseException] = Exception
) -> str | None:
    """Submit; say why it failed, if it did."""
    # Asked only now, since the orders ahead of this one may have opened it.
    if not link.breaker.allows():
        return f"{link.runner.name}: it has failed and is left alone for a while"
    try:
        link.runner.submit(job)
    except failures as error:  # each queue's client has its own
        link.breaker.failed()
        return f"{link.runner.name}: {error!r}"
    link.breaker.succeeded()
    return None
