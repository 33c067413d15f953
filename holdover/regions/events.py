"""What happens in a region, as values given to whoever listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from holdover.regions.values import frozen

__all__ = [
    "BackendFailed",
    "Created",
    "CreatorFailed",
    "CreatorRaised",
    "CreatorSlow",
    "Event",
    "Hit",
    "KeyAdded",
    "KeyRefused",
    "LeaseLost",
    "Listener",
    "Missed",
    "OrderDropped",
    "OrderFailed",
    "OrderPostponed",
    "Ordered",
    "Problem",
    "PushLost",
    "QueueBehind",
    "RefreshFailed",
    "Refreshed",
    "RunEnded",
    "RunFailed",
    "StaleServed",
    "TierDropped",
    "Uncacheable",
    "Unreadable",
    "Waited",
]

log = logging.getLogger("holdover")


@frozen(kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        region: Name of the region.
        key: The key, or "" where it concerns none.
    """

    region: str
    key: str = ""


@frozen(kw_only=True)
class Hit(Event):
    """A fresh value was served.

    Attributes:
        near: Whether it came from the near cache, and the backend was not asked.
    """

    near: bool = False


@frozen(kw_only=True)
class StaleServed(Event):
    """An old value was served.

    Attributes:
        age: Seconds since it was created.
    """

    age: float


@frozen(kw_only=True)
class Missed(Event):
    """There was no value to serve."""


@frozen(kw_only=True)
class Created(Event):
    """A creator has run.

    Attributes:
        cost: Seconds that it took.
        stored: Whether its value was stored.
    """

    cost: float
    stored: bool


class CreatorRaised(Event):
    """A creator has run and raised, whoever was told of it; once for each key."""


@frozen(kw_only=True)
class Waited(Event):
    """A caller's wait for what others were creating is over.

    Attributes:
        waited: Seconds that it took.
    """

    waited: float


class KeyAdded(Event):
    """A door that lets clients name keys has stored something under a new one."""


class Ordered(Event):
    """A refresh was ordered."""


@frozen(kw_only=True)
class Refreshed(Event):
    """An ordered refresh was carried out here.

    Attributes:
        cost: Seconds that its creator took.
        task_id: The queue's name for it, if it came by a queue.
        lag: Seconds that it had waited before it was begun.
    """

    cost: float
    task_id: str | None = None
    lag: float = 0.0


@frozen(kw_only=True)
class RunEnded(Event):
    """A run of a schedule has ended well; the key is the schedule's name.

    Attributes:
        slot_at: The due time that it was for (wall clock).
        begun_at: When it began (wall clock).
        cost: Seconds that it took.
    """

    slot_at: float
    begun_at: float
    cost: float


@frozen(kw_only=True)
class Problem(Event):
    """Something went wrong that no caller was told of.

    Attributes:
        reason: What, in words.
    """

    reason: str


class CreatorFailed(Problem):
    """A creator raised what no caller got: an old value was served, or he had left."""


class RefreshFailed(CreatorFailed):
    """The creator of an ordered refresh raised, here."""


class CreatorSlow(Problem):
    """A caller left a creator that took too long; it goes on in the background."""


class LeaseLost(Problem):
    """A created value was refused: the key was invalidated or set in the meantime."""


class BackendFailed(Problem):
    """The backend could not carry out an operation."""


class Unreadable(Problem):
    """What the backend holds for a key is no value of ours; treated as a miss."""


class Uncacheable(Problem):
    """A created value could not be stored and was only handed to its callers."""


class OrderFailed(Problem):
    """No runner could take a refresh order."""


class OrderDropped(Problem):
    """A refresh order was not carried out here: overtaken, idle, or not allowed."""


class OrderPostponed(Problem):
    """A stale value was not ordered anew, since enough is being ordered already."""


class QueueBehind(Problem):
    """An order has waited too long in a queue, so that this process refreshes."""


@frozen(kw_only=True)
class RunFailed(Problem):
    """A run of a schedule has failed; the key is the schedule's name.

    Attributes:
        error: Why, as the history has it.
        slot_at: See `RunEnded`, as for the next two.
        begun_at: See there.
        cost: See there.
    """

    error: str
    slot_at: float
    begun_at: float
    cost: float


class KeyRefused(Problem):
    """A door made a value for a new key and did not store it: one client had enough."""


class TierDropped(Problem):
    """The region works without leases: its backend knows only dogpile.cache's verbs."""


class PushLost(Problem):
    """The backend does not tell of changes any more; ``near_ttl`` alone bounds them."""


Listener = Callable[[Event], object]


class Counting(Protocol):
    """Counts what happens, also while nobody listens."""

    @property
    def hit(self) -> Callable[[], object]:
        """What counts a fresh value that was served, other than near."""

    @property
    def near_hit(self) -> Callable[[], object]:
        """What counts one from the near cache."""

    def stale(self, age: float) -> None:
        """Count an old value that was served, *age* seconds after it was created."""

    def count(self, event: Event) -> None:
        """Count anything else."""


_QUIET_FOR = 60.0  # seconds between two log lines of one kind of problem


class Listeners:
    """Those who want to know.

    Problems are logged as well, each kind once a minute as a warning, since an outage
    makes thousands of them, and otherwise at debug level.

    Args:
        counters: Counts what is told.

    Attributes:
        counters: The same.
        is_heard: Whether there is anyone who listens.
    """

    def __init__(self, counters: Counting) -> None:
        self.counters = counters
        self.is_heard = False
        self._listeners: tuple[Listener, ...] = ()
        self._warned_at: dict[type[Event], float] = {}

    def add(self, listener: Listener) -> None:
        """Call *listener* with every event from now on."""
        self._listeners = (*self._listeners, listener)
        self.is_heard = True

    def remove(self, listener: Listener) -> None:
        """Call *listener* no more."""
        self._listeners = tuple(one for one in self._listeners if one != listener)
        self.is_heard = bool(self._listeners)

    def hit(self, region: str, key: str, *, near: bool = False) -> None:
        """Count a hit, and tell of it."""
        (self.counters.near_hit if near else self.counters.hit)()
        if self.is_heard:
            self._pass_on(Hit(region=region, key=key, near=near))

    def stale(self, region: str, key: str, *, age: float) -> None:
        """Count an old value that was served, and tell of it."""
        self.counters.stale(age)
        if self.is_heard:
            self._pass_on(StaleServed(region=region, key=key, age=age))

    def tell(self, event: Event) -> None:
        """Count *event*, for which there is no method above, and pass it on.

        A listener that raises is logged, never felt.
        """
        self.counters.count(event)
        if isinstance(event, Problem):
            self._log(event)
        self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # a listener must not change what a caller gets
                log.exception("a listener failed")

    def _log(self, problem: Problem) -> None:
        kind, now = type(problem), time.monotonic()
        loud = now - self._warned_at.get(kind, -_QUIET_FOR) >= _QUIET_FOR
        if loud:
            self._warned_at[kind] = now
        level = logging.WARNING if loud else logging.DEBUG
        log.log(
            level, "%s: region %r: %s", kind.__name__, problem.region, problem.reason
        )
