"""Creating for a caller who waits: for as long as he puts up with, and if it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import Any, TypeVar

from holdover.regions import events
from holdover.regions.backends.grants import Busy, Lease
from holdover.regions.calls import Call, CreateMany, Made, Part
from holdover.regions.crowds import Crowd
from holdover.regions.errands import Errand
from holdover.regions.errors import CreatorBackoff, CreatorFailure, CreatorTimeout
from holdover.regions.events import Listeners
from holdover.regions.flights import NOBODY, Flight, Landed
from holdover.regions.freshness import Freshness
from holdover.regions.lifetime import CreatorTerms
from holdover.regions.making import Maker
from holdover.regions.outcomes import Found
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource

T = TypeVar("T")


class Foreground:
    """Runs a region's creators for callers, who get an old value if one will do.

    Args:
        tier: The region's entries.
        maker: Runs creators and stores their values.
        terms: What callers put up with from a creator.
        wait: Seconds that callers wait for their turn.
        listeners: Whom to tell what happens.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        tier: Tier,
        maker: Maker,
        terms: CreatorTerms,
        *,
        wait: float,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self._tier = tier
        self._maker = maker
        self._terms = terms
        self._wait = wait
        self._listeners = listeners
        self._now = time_source.wall
        self._unleased = Crowd(terms.most_unleased)

    def create(self, call: Call, lease: Lease, flight: Flight, found: Found) -> Any:
        """Create under a lease; if that fails, an old value may still serve."""
        return self._run(
            call, flight, found, lambda: self._maker.under(call, lease, flight)
        )

    def create_unstored(self, call: Call, flight: Flight, found: Found) -> Any:
        """Create without a lease: only for those who had asked before it began."""
        return self._run(call, flight, found, lambda: self.unleased(call, flight))

    def unleased(self, call: Call, flight: Flight) -> Made:
        """Create without a lease, in the caller's turn, and let the error out."""
        with self._unleased.joined(self._wait):
            return self._maker.unstored(call, flight)

    def create_many(
        self, parts: Sequence[Part], create: CreateMany, *, has_old_value: bool
    ) -> list[Made]:
        """Create several at once, some of them maybe without a lease.

        Raises:
            Slow: See `bounded`.
            Exception: Whatever the creator raised.
        """
        has_all_leases = all(part.lease is not None for part in parts)

        def work() -> list[Made]:
            with nullcontext() if has_all_leases else self._unleased.joined(self._wait):
                return self._maker.many(parts, create)

        flights = {part.call.key: part.flight for part in parts}
        return self.bounded(work, flights, has_old_value=has_old_value)

    def failed(
        self,
        call: Call,
        found: Found,
        error: Exception,
        traceback: TracebackType | None,
    ) -> Any:
        """Serve this caller's own old value, or raise the creator's error unchanged."""
        judged_by = found.entry.lifetime or call.lifetime
        is_no_help = judged_by.stale_if_error == 0 and not self._is_fresh(found)
        if found.freshness is Freshness.GONE or is_no_help:
            # From where it left the creator, since many may raise this same object.
            raise error.with_traceback(traceback)
        self._tier.tell(events.CreatorFailed, call.key, repr(error))
        return self.serve(call, found)

    def backing_off(self, call: Call, busy: Busy, flight: Flight, found: Found) -> Any:
        """Answer while the creator is left alone, and all who joined with it."""
        error = CreatorBackoff(
            f"region {self._tier.region!r}: the creator of {call.key!r} has failed and "
            f"is left alone for another {busy.expires_in:.3g} s: {busy.reason}",
            retry_in=busy.expires_in,
        )
        error.__cause__ = CreatorFailure(busy.reason)
        flight.land(Landed(error=error))
        return self.failed(call, found, error, None)

    def serve(self, call: Call, found: Found) -> Any:
        """Serve what was found, and tell of it if it is old."""
        if not self._is_fresh(found):
            age = self._now() - found.entry.created_at
            self._listeners.stale(self._tier.region, call.key, age=age)
        return found.entry.value

    @staticmethod
    def _is_fresh(found: Found) -> bool:
        return found.freshness is Freshness.FRESH

    def bounded(
        self,
        work: Callable[[], T],
        flights: Mapping[str, Flight],
        *,
        has_old_value: bool,
    ) -> T:
        """Have *work* done, for as long as a caller puts up with it.

        Args:
            work: Runs a creator.
            flights: On whose behalf, by key.
            has_old_value: Whether the caller could be served meanwhile.

        Raises:
            Slow: It takes longer, and goes on in a thread of its own.
            Exception: Whatever the work raised.
        """
        limit = self._terms.limit(has_old_value=has_old_value)
        if limit is None:
            return work()

        def owning_the_flights() -> T:
            for flight in flights.values():
                flight.owner = threading.get_ident()  # by this, recursion is noticed
            try:
                return work()
            finally:
                # A thread that is started next may well be given the same identity.
                for flight in flights.values():
                    flight.owner = NOBODY

        def left(error: BaseException) -> None:
            for key in flights:
                self._tier.tell(events.CreatorFailed, key, repr(error))

        try:
            errand = Errand(owning_the_flights, left)
        except RuntimeError:  # no thread to be had; so the caller does it himself
            return work()
        if not errand.is_done_within(limit):
            raise Slow(f"takes longer than {limit:g} s and goes on")
        return errand.outcome()

    def _run(
        self, call: Call, flight: Flight, found: Found, work: Callable[[], Made]
    ) -> Any:
        has_old_value = found.freshness is not Freshness.GONE
        try:
            return self.bounded(
                work, {call.key: flight}, has_old_value=has_old_value
            ).value
        except Slow as slow:
            self._tier.tell(events.CreatorSlow, call.key, str(slow))
            if has_old_value:
                return self.serve(call, found)
            raise CreatorTimeout(
                f"region {self._tier.region!r}: the creator of {call.key!r} {slow}"
            ) from None
        except Exception as error:  # noqa: BLE001 - the creator's own
            flight.land(Landed(error=error, traceback=error.__traceback__))
            return self.failed(call, found, error, error.__traceback__)


class Slow(Exception):
    """A creator outlasts its caller's patience."""
