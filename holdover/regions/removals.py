"""Removing what a region has stored, from a backend that may fail meanwhile.

What could not be removed is remembered, and distrusted here, until it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdover.regions.backends.base import Backend
from holdover.regions.clocks import RegionClock
from holdover.regions.events import Listeners
from holdover.regions.guard import Guard
from holdover.regions.outcomes import Delivery
from holdover.regions.ticks import Mark, Reach
from holdover.regions.timesource import TimeSource
from holdover.regions.undelivered import WHOLE_REGION, Late, Pending

_MOST_AT_ONCE = 500  # keys that are removed in one step


class Removals:
    """What is removed of one region in one backend.

    Args:
        backend: Where the entries are kept.
        region: Name of the region, and of its clock.
        listeners: Whom to tell of failures.
        time_source: The clocks to go by.

    Attributes:
        backend: See above.
        region: See above.
        tell: Reports a problem that no caller is told of.
    """

    def __init__(
        self,
        backend: Backend,
        region: str,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self.backend = backend
        self.region = region
        self._clock = RegionClock(backend, region)
        self._guard = Guard(region, listeners, time_source)
        self._guard.redeliver_by(self._deliver_all)
        self.tell = self._guard.tell

    def remove(self, key: str, *, strict: bool = False) -> Delivery:
        """Remove the value and end any lease.

        Raises:
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        return self.remove_multi([key], strict=strict)

    def remove_multi(self, keys: Sequence[str], *, strict: bool = False) -> Delivery:
        """Remove several values and end their leases, as `remove` does."""
        if not keys:
            return Delivery()

        def remove() -> bool:
            if len(keys) == 1:
                return self.backend.remove(keys[0])
            return self.backend.remove_multi(keys)

        return self._guard.deliver(self._guard.removing, keys, remove, strict=strict)

    def invalidate(
        self, *, hard: bool, reaches: Sequence[Reach] = (), strict: bool = False
    ) -> Delivery:
        """Invalidate the whole region or parts of it, in one step whatever its size.

        Raises:
            BackendError: Only if *strict*; otherwise the result says ``pending``.
        """
        pending: list[Pending] = [Mark(reach, hard) for reach in reaches]
        if not reaches:  # a hard one that is still pending must not get lost
            hard = hard or WHOLE_REGION in self._guard.undelivered
            pending = [WHOLE_REGION]
        return self._guard.deliver(
            self._guard.removing,
            pending,
            lambda: self._clock.advance(hard=hard, reaches=reaches),
            strict=strict,
        )

    def is_pending(self, key: str) -> bool:
        """Say whether an invalidation that may reach *key* is still undelivered."""
        concerning = self._guard.undelivered.concerning(key)
        return any(not isinstance(one, Late) for one in concerning)

    # -- once the backend answers again ----------------------------------------

    def _deliver_what_concerns(self, key: str) -> None:
        """Try again what keeps *key* from being trusted.

        Raises:
            BackendError: It still cannot be delivered.
        """
        self._guard.see_to_redelivery()
        self._deliver(self._guard.undelivered.concerning(key))

    def _deliver_all(self) -> None:
        self._deliver(self._guard.undelivered.pending())

    def _deliver(self, pending: Sequence[Pending]) -> None:
        keys = [one for one in pending if isinstance(one, str)]
        if WHOLE_REGION in pending:
            self.invalidate(hard=True, strict=True)
        for hard in (True, False):
            marks = [m for m in pending if isinstance(m, Mark) and m.hard is hard]
            for start in range(0, len(marks), _MOST_AT_ONCE):
                reaches = [one.reach for one in marks[start : start + _MOST_AT_ONCE]]
                self.invalidate(hard=hard, reaches=reaches, strict=True)
        for start in range(0, len(keys), _MOST_AT_ONCE):
            self.remove_multi(keys[start : start + _MOST_AT_ONCE], strict=True)
        for late in [one for one in pending if isinstance(one, Late)]:
            self._guard.expel(late, self.backend)
