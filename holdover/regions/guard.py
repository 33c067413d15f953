"""Between a region and a backend that may fail: breakers, and what is still to be told.

Here a backend's failure becomes an event, and what could not be removed is remembered
until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from holdover.regions import events
from holdover.regions.at_hand import Gate
from holdover.regions.backends.base import Backend
from holdover.regions.breaker import Breaker
from holdover.regions.counters import Outage
from holdover.regions.envelope import fence_of
from holdover.regions.errors import BackendError, ValueTooLarge
from holdover.regions.events import Listeners
from holdover.regions.outcomes import Delivery
from holdover.regions.redelivery import Redelivery
from holdover.regions.timesource import TimeSource
from holdover.regions.undelivered import Late, Pending, Undelivered

T = TypeVar("T")


class NotTried(BackendError):
    """The backend has failed too often just now, and was not asked."""


class Guard:
    """Stands before one backend, for one region.

    Args:
        region: Name of the region.
        listeners: Whom to tell of failures.
        time_source: The clocks to go by.

    Attributes:
        reading: The breaker of reads.
        writing: That of writes.
        removing: That of removals: three, because a full disk fails every write, no
            read and no removal.
        outage: The time in which any of the three was open.
        undelivered: What this process must not trust.
        gate: Closed when something is distrusted.
    """

    def __init__(
        self, region: str, listeners: Listeners, time_source: TimeSource
    ) -> None:
        self._region = region
        self._listeners = listeners
        self._time = time_source
        self.outage = Outage(time_source)
        watched: Any = {"outage": self.outage, "time_source": time_source}
        self.reading = Breaker(**watched)
        self.writing = Breaker(**watched)
        self.removing = Breaker(**watched)
        self.undelivered = Undelivered()
        self._last_failure = "nothing"
        self.gate = Gate()
        self._redelivery: Redelivery | None = None

    def redeliver_by(self, deliver: Callable[[], object]) -> None:
        """Have *deliver* called, in a thread, while something is undelivered."""
        self._redelivery = Redelivery(lambda: bool(self.undelivered), deliver)

    def see_to_redelivery(self) -> None:
        """Have somebody go on telling the backend; also in the child of a fork."""
        if self._redelivery is not None:
            self._redelivery.start()

    def call(
        self, breaker: Breaker, operation: Callable[..., T], *args: Any, **kw: Any
    ) -> T:
        """Carry out *operation*, unless it has failed too often just now.

        Raises:
            NotTried: It has.
            BackendError: It failed.
        """
        if breaker.failures and not breaker.allows():
            raise NotTried(
                f"the backend of region {self._region!r} has failed and is left alone "
                f"for a while; it said: {self._last_failure}"
            )
        try:
            result = operation(*args, **kw)
        except ValueTooLarge as error:
            self.tell(events.Uncacheable, "", str(error))
            raise
        except BackendError as error:
            self._note_failure(breaker, error)
            raise
        if breaker.failures:
            breaker.succeeded()
        return result

    def calmed(self, read: Callable[[], T], otherwise: T) -> Callable[[], T]:
        """Make *read*, whose failure is told of, give something else then.

        What has not failed lately is called at once (0.1 us less than by `call`).
        """
        breaker = self.reading

        def calmed() -> T:
            if breaker.failures:
                try:
                    return self.call(breaker, read)
                except BackendError:
                    return otherwise
            try:
                return read()
            except BackendError as error:
                self._note_failure(breaker, error)
                return otherwise

        return calmed

    def _note_failure(self, breaker: Breaker, error: BackendError) -> None:
        breaker.failed()
        self._last_failure = str(error)
        self.tell(events.BackendFailed, "", str(error))

    def deliver(
        self,
        breaker: Breaker,
        pending: Collection[Pending],
        operation: Callable[[], object],
        *,
        strict: bool,
        late: Callable[[], Collection[Late]] = tuple,
    ) -> Delivery:
        """Carry out what must not be forgotten.

        Args:
            breaker: That of the operation.
            pending: What is distrusted until it has been carried out.
            operation: Returns whether there was something.
            strict: Whether to raise if it fails.
            late: Tells what it may still store after it has failed.

        Raises:
            BackendError: Only if *strict*.
        """
        begun = self.undelivered.moment()
        try:
            existed = self.call(breaker, operation)
        except ValueTooLarge:
            if strict:
                raise
            return Delivery()  # what was there before has been removed
        except BackendError:
            self.distrust(*pending, *late())
            if strict:
                raise
            return Delivery(pending=True)
        if self.undelivered.noted:
            for one in pending:
                self.undelivered.delivered(one, begun)
        return Delivery(existed=existed is True)

    def distrust(self, *what: Pending) -> None:
        """Remember what the backend has yet to be told."""
        for one in what:
            self.undelivered.remember(one)
        self.gate.close()  # of what is distrusted nothing may be at hand
        self.see_to_redelivery()

    def expel(self, late: Late, backend: Backend) -> None:
        """Remove what a late write has stored, if it has come.

        Raises:
            BackendError: That cannot be told.
        """
        begun = self._time.steady()

        def remove() -> None:
            stored, _ = backend.read(late.key, self._region)
            if stored is not None and fence_of(stored) == late.fence:
                backend.remove(late.key)

        self.call(self.removing, remove)
        self.undelivered.looked_for(late, begun)

    def tell(self, kind: type[events.Problem], key: str, reason: str) -> None:
        """Report a problem that no caller is told of."""
        self._listeners.tell(kind(region=self._region, key=key, reason=reason))
