"""A backend that fails now and then, in all the ways in which backends fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Never

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Stored
from holdover.regions.backends.pushing import Change, Pushing, Subscription
from holdover.regions.backends.transactional import Transactional
from holdover.regions.errors import ValueTooLarge
from holdover.regions.findings import Finding
from holdover.regions.ticks import ClockState, Reach
from holdover.testing.chances import Fate
from holdover.testing.chaos_leases import ChaosLeases


class ChaosBackend(ChaosLeases, Pushing, Transactional):
    """Stands before a backend, and lets no more through than chance allows.

    ``region.configure(ChaosBackend(backend, failing=0.1, seed=1), 60)``, or, for a
    region that is configured already,
    ``region.backend = ChaosBackend(region.backend, failing=0.1, seed=1)``. All that it
    does a real backend may do, so that whatever a region promises holds.

    One of these befalls a call, with the chance that is given (0.0 to 1.0):

    - ``failing``: it raises `BackendError`, and nothing was done.
    - ``unanswered``: it is done, and raises `BackendError` all the same.
    - ``hanging``: it raises `BackendError` after *hang* seconds; nothing was done.
    - ``slow``: it is done *delay* seconds later.
    - ``refusing``: it says no. A lease is taken, lost or overtaken, a value is not the
      one that was seen, or is too large to be written (what was there before is gone).
    - ``forgetting``: what is to be read has just been evicted.

    The last two leave calls alone to which they make no sense. A call for many keys is
    one call. What is part of the application's own transaction is let through.

    Args:
        backend: A backend of Holdover's.
        seed: Makes chance repeatable: each verb meets the same, call by call.
        verbs: What is to be troubled: names of `verbs`; None: all. Calls for many keys
            go by the name of those for one.
        hang: Seconds until a hanging call is given up.
        delay: Seconds that a slow call takes longer.
        time_source: What to wait by.
        **chances: See above.

    Attributes:
        backend: The one behind it.

    Raises:
        ConfigurationError: There is no such trouble or verb, or a chance is none.
    """

    fates = frozenset(
        {
            Fate.FAILING,
            Fate.UNANSWERED,
            Fate.HANGING,
            Fate.SLOW,
            Fate.REFUSING,
            Fate.FORGETTING,
        }
    )
    verbs = (
        "read",
        "write",
        "remove",
        "compare_and_set",
        "acquire",
        "renew",
        "adopt",
        "commit",
        "release",
        "back_off",
        "leased",
        "clock",
        "advance",
        "purge",
        "diagnose",
        "subscribe",
        "hear",
    )
    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        return self._ask("read", lambda: self.backend.read(key, region), evict=[key])

    def reader(self, key: str, region: str) -> Callable[[], tuple[Stored | None, int]]:
        """See `Backend.reader`."""
        read = self.backend.reader(key, region)
        return lambda: self._ask("read", read, evict=[key])

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        return self._ask(
            "read", lambda: self.backend.read_multi(keys, region), evict=keys
        )

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        self._ask(
            "write",
            lambda: self.backend.write(key, stored, ttl=ttl),
            refusal=lambda: self._have_no_room([key]),
        )

    def write_at(
        self, key: str, stored: Stored, region: str, *, tick: int, ttl: float | None
    ) -> int:
        """See `Backend.write_at`."""
        return self._ask(
            "write",
            lambda: self.backend.write_at(key, stored, region, tick=tick, ttl=ttl),
            refusal=lambda: self._have_no_room([key]),
        )

    def write_multi(self, stored: Mapping[str, Stored], *, ttl: float | None) -> None:
        """See `Backend.write_multi`."""
        self._ask(
            "write",
            lambda: self.backend.write_multi(stored, ttl=ttl),
            refusal=lambda: self._have_no_room(list(stored)),
        )

    def _have_no_room(self, keys: Sequence[str]) -> Never:
        self.backend.remove_multi(keys)
        raise ValueTooLarge("ChaosBackend: the value is too large")

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        return self._ask("remove", lambda: self.backend.remove(key))

    def remove_multi(self, keys: Sequence[str]) -> bool:
        """See `Backend.remove_multi`."""
        return self._ask("remove", lambda: self.backend.remove_multi(keys))

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        return self._ask(
            "compare_and_set",
            lambda: self.backend.compare_and_set(key, stored, seen=seen, ttl=ttl),
            refusal=bool,
        )

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return self._ask("clock", lambda: self.backend.clock(region, since=since))

    def tick(self, region: str, *, since: int = 0) -> int:
        """See `Backend.tick`."""
        return self._ask("clock", lambda: self.backend.tick(region, since=since))

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        return self._ask(
            "advance",
            lambda: self.backend.advance(region, hard=hard, reaches=reaches),
        )

    # -- housekeeping ----------------------------------------------------------

    def purge(self) -> int:
        """See `Backend.purge`."""
        return self._ask("purge", self.backend.purge)

    def lasting(self) -> Backend | None:
        """See `Backend.lasting`. The same befalls its calls."""
        lasting = self.backend.lasting()
        if lasting is None or lasting is self.backend:
            return None if lasting is None else self
        # With the same chances: whoever calms this one calms that, too.
        before = copy(self)
        before._stand_before(lasting)  # noqa: SLF001 - one of its own kind
        return before

    def get_mutex(self, key: str) -> Any:
        """Give the mutex that dogpile.cache is to use, if any."""
        return self.backend.get_mutex(key)

    # -- for operators ---------------------------------------------------------

    def place(self) -> str:
        """See `Backend.place`."""
        return self.backend.place()

    def server_time(self) -> float | None:
        """See `Backend.server_time`."""
        return self._ask("diagnose", self.backend.server_time)

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`."""
        return self._ask("diagnose", lambda: self.backend.diagnose(lasting=lasting))

    # -- what only some backends have -------------------------------------------

    def subscribe(self, region: str, prefix: str) -> Subscription:
        """See `Pushing.subscribe`."""
        backend: Any = self.backend
        heard = self._ask("subscribe", lambda: backend.subscribe(region, prefix))
        return _Hearing(heard, self._ask)

    def remove_within(self, connection: Any, keys: Sequence[str]) -> bool:
        """See `Transactional.remove_within`."""
        backend: Any = self.backend
        existed: bool = backend.remove_within(connection, keys)
        return existed

    def advance_within(
        self,
        connection: Any,
        region: str,
        *,
        hard: bool,
        reaches: Sequence[Reach] = (),
    ) -> None:
        """See `Transactional.advance_within`."""
        backend: Any = self.backend
        backend.advance_within(connection, region, hard=hard, reaches=reaches)


class _Hearing:
    """What a subscription hears, if nothing befalls it."""

    def __init__(
        self, heard: Subscription, ask: Callable[..., Sequence[Change]]
    ) -> None:
        self._heard = heard
        self._ask = ask

    def changes(self, wait: float) -> Sequence[Change]:
        """See `Subscription.changes`."""
        return self._ask("hear", lambda: self._heard.changes(wait))

    def probe(self) -> Sequence[Change]:
        """See `Subscription.probe`."""
        return self._ask("hear", self._heard.probe)

    def close(self) -> None:
        """See `Subscription.close`."""
        self._heard.close()
