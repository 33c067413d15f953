"""Who makes the value, and what everybody else gets meanwhile.

First a *flight*: one thread per process and key goes to the backend. Then a *lease*:
one process in the fleet may create. The numbers in the comments are those of the
promises in the documentation ("What the lease promises").
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from holdover.regions import events
from holdover.regions.backends.base import Busy, Lease
from holdover.regions.calls import Call, Described
from holdover.regions.errors import LeaseTimeout
from holdover.regions.events import Listeners
from holdover.regions.flights import (
    FLIGHTS,
    Flight,
    Landed,
    ticket,
)
from holdover.regions.freshness import Freshness
from holdover.regions.lifetime import LeaseTerms
from holdover.regions.making import Maker
from holdover.regions.ordering import Chain
from holdover.regions.outcomes import Found
from holdover.regions.patience import Polls, TakenLeases
from holdover.regions.refresh.base import Job, Outcome, RefreshOrder
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource


class Creation:
    """Answers the calls of one region for which there is no fresh value.

    Args:
        tier: The region's entries.
        terms: How long leases last and callers wait.
        chain: The runners, empty if callers create in the foreground.
        raise_on_timeout: Whether a caller whose wait is over gets `LeaseTimeout`
            instead of creating a value for itself.
        listeners: Whom to tell what happens.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        tier: Tier,
        terms: LeaseTerms,
        chain: Chain,
        *,
        raise_on_timeout: bool,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self._tier = tier
        self._terms = terms
        self._chain = chain
        self._raise_on_timeout = raise_on_timeout
        self._listeners = listeners
        self._time = time_source
        self._taken = TakenLeases(time_source)
        self._maker = Maker(tier, terms, listeners, time_source)

    def answer(self, call: Call, found: Found) -> Any:
        """Give the caller a value, which may be an old one.

        Raises:
            LeaseTimeout: Nobody created it in time, and the region is set to raise.
            RecursiveCreation: The creator asked for its own key.
            LazyValue: The creator returned something that can be read only once.
            Exception: Whatever the creator raised, unchanged.
        """
        if found.freshness is Freshness.FRESH:
            return found.entry.value
        call.asked = ticket()
        if found.freshness is Freshness.STALE:
            return self._serve_stale(call, found)
        self._tell_missed(call)
        if call.empty is not None and self._chain:
            newer = self._refresh_behind(call, found)
            return self._serve_old(call, newer) if newer else call.empty()
        return self._create_or_wait(call, found)

    def recreate(self, call: Call) -> Any:
        """Create a value now, whatever is there, and store it unless overtaken.

        Raises:
            RecursiveCreation: The creator itself asked for it.
            Exception: Whatever the creator raised, unchanged; what was there stays.
        """
        call.asked = ticket()
        deadline = self._time.steady() + self._terms.wait
        found = self._tier.look(call.key, call.lifetime)
        polls = Polls(found.entry.cost)
        while True:
            with FLIGHTS.board((self._tier, call.key)) as seat:
                flight = seat.flight if seat.is_mine else Flight()
                grant = self._acquire(call, found, self._terms.ttl)
                left = deadline - self._time.steady()
                if isinstance(grant, Lease):
                    return self._maker.under(call, grant, flight).value
                if grant is None or left <= 0:
                    return self._maker.unstored(call, flight).value
            if isinstance(grant, Found):
                found = grant
            else:  # somebody else creates, who may have begun before we were asked
                self._time.sleep(polls.next_pause(min(left, grant.expires_in)))

    def fulfil(self, call: Call, token: str, task_id: str | None) -> Outcome:
        """Carry out an order; see `Maker.fulfil`."""
        return self._maker.fulfil(call, token, task_id)

    # -- an old value is at hand -----------------------------------------------

    def _serve_stale(self, call: Call, found: Found) -> Any:
        if self._chain:
            newer = self._refresh_behind(call, found)
            return self._serve_old(call, newer or found)
        if self._taken.knows(call.key, found.entry):
            return self._serve_old(call, found)
        with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
            if not seat.is_mine:
                return self._serve_old(call, found)
            grant = self._acquire(call, found, self._terms.ttl)
            if isinstance(grant, Lease):
                return self._create(call, grant, seat.flight, found)
        # Only now, with the flight over: what is there may be gone for this caller.
        return self._serve_old(call, grant if isinstance(grant, Found) else found)

    def _serve_old(self, call: Call, found: Found) -> Any:
        """Serve what was found; if it has gone since, start over."""
        if found.freshness is Freshness.GONE:
            return self._create_or_wait(call, found)
        if found.freshness is not Freshness.FRESH and self._listeners:
            age = self._time.wall() - found.entry.created_at
            self._listeners.tell(
                events.StaleServed(region=self._tier.region, key=call.key, age=age)
            )
        return found.entry.value

    def _refresh_behind(self, call: Call, found: Found) -> Found | None:
        """Order one refresh, unless one is under way; give a newer value if seen."""
        if self._taken.knows(call.key, found.entry):
            return None
        with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
            if not seat.is_mine:
                return None
            order = self._describe(call)
            travels = order is not None and self._chain.takes_orders
            ttl = self._terms.queue_ttl if travels else self._terms.ttl
            grant = self._acquire(call, found, ttl, queued=True)
            if isinstance(grant, Lease):
                self._order(call, grant, found, order)
        return grant if isinstance(grant, Found) else None

    def _order(
        self, call: Call, lease: Lease, found: Found, described: Described | None
    ) -> None:
        self._taken.remember(call.key, found.entry, lease.ttl)
        job = Job(
            key=call.key,
            carry_out=lambda: self._maker.fulfil(call, lease.token),
            order=self._order_for(described, lease),
        )

        def give_up(reason: str) -> None:
            self._tier.tell(events.OrderFailed, call.key, reason)
            self._tier.release(lease)

        self._chain.dispatch(job, give_up)

    def _describe(self, call: Call) -> Described | None:
        return call.order() if call.order is not None else None

    def _order_for(
        self, described: Described | None, lease: Lease
    ) -> RefreshOrder | None:
        if described is None:
            return None
        function, args, kwargs, key = described
        return RefreshOrder(
            region=self._tier.region,
            function=function,
            args=args,
            kwargs=kwargs,
            key=key,
            token=lease.token,
            clock=lease.clock,
            not_after=self._time.wall() + lease.ttl,
        )

    # -- no usable value -------------------------------------------------------

    def _create_or_wait(self, call: Call, found: Found) -> Any:
        deadline = self._time.steady() + self._terms.wait
        while True:
            with FLIGHTS.board((self._tier, call.key)) as seat:
                if seat.is_mine:
                    return self._lead(call, seat.flight, found, deadline)
                left = max(0.0, deadline - self._time.steady())
                if not FLIGHTS.wait(seat.flight, left):
                    return self._lose_patience(call, found)
                landed = seat.flight.landed
            if landed.error is not None:
                return self._creator_failed(call, found, landed.error, landed.traceback)
            if call.asked < landed.valid_before:
                return landed.value
            # We asked after that value's creator had started, and something was
            # invalidated meanwhile, maybe before we asked (promise 1). So look again.
            found = self._tier.look(call.key, call.lifetime)
            if found.freshness in (Freshness.FRESH, Freshness.STALE):
                return self._serve_old(call, found)

    def _lead(self, call: Call, flight: Flight, found: Found, deadline: float) -> Any:
        """Create, or wait for the process that does, on behalf of all who joined."""
        polls = Polls(found.entry.cost)
        while True:
            looked = ticket()
            grant = self._acquire(call, found, self._terms.ttl)
            if isinstance(grant, Lease):
                return self._create(call, grant, flight, found)
            if grant is None:
                return self._create_unstored(call, flight, found)
            if isinstance(grant, Found):
                found = grant
                if found.freshness in (Freshness.FRESH, Freshness.STALE):
                    flight.land(Landed(found.entry.value, valid_before=looked))
                    return self._serve_old(call, found)
            left = deadline - self._time.steady()
            if left <= 0:
                return self._lose_patience(call, found)
            if isinstance(grant, Busy):
                self._time.sleep(polls.next_pause(min(left, grant.expires_in)))

    def _lose_patience(self, call: Call, found: Found) -> Any:
        """The wait is over (promise 5): an old value, an error, or one's own value."""
        if found.freshness is Freshness.FALLBACK:
            return self._serve_old(call, found)
        if self._raise_on_timeout:
            raise LeaseTimeout(
                f"region {self._tier.region!r}: nobody had created {call.key!r} "
                f"after {self._terms.wait:g} s"
            )
        deadline = self._time.steady() + self._terms.wait
        while True:
            with FLIGHTS.board((self._tier, call.key, "unstored")) as seat:
                if seat.is_mine:
                    return self._create_unstored(call, seat.flight, found)
                left = max(0.0, deadline - self._time.steady())
                if not FLIGHTS.wait(seat.flight, left):
                    return self._create_unstored(call, Flight(), found)
                landed = seat.flight.landed
            if landed.error is not None:
                return self._creator_failed(call, found, landed.error, landed.traceback)
            if call.asked < landed.valid_before:
                return landed.value

    # -- creating in the foreground --------------------------------------------

    def _create(self, call: Call, lease: Lease, flight: Flight, found: Found) -> Any:
        """Create in this thread; if that fails, an old value may still serve."""
        try:
            return self._maker.under(call, lease, flight).value
        except Exception as error:  # noqa: BLE001 - the creator's own
            flight.land(Landed(error=error, traceback=error.__traceback__))
            return self._creator_failed(call, found, error, error.__traceback__)

    def _create_unstored(self, call: Call, flight: Flight, found: Found) -> Any:
        """Create without a lease: only for those who had asked before it began."""
        try:
            return self._maker.unstored(call, flight).value
        except Exception as error:  # noqa: BLE001 - the creator's own
            flight.land(Landed(error=error, traceback=error.__traceback__))
            return self._creator_failed(call, found, error, error.__traceback__)

    def _creator_failed(
        self,
        call: Call,
        found: Found,
        error: Exception,
        traceback: TracebackType | None,
    ) -> Any:
        """Serve this caller's own old value, or raise the creator's error unchanged."""
        judged_by = found.entry.lifetime or call.lifetime
        if found.freshness is Freshness.GONE or judged_by.stale_if_error == 0:
            # From where it left the creator, since many may raise this same object.
            raise error.with_traceback(traceback)
        self._tier.tell(events.CreatorFailed, call.key, repr(error))
        return self._serve_old(call, found)

    # -- small steps -----------------------------------------------------------

    def _acquire(
        self, call: Call, found: Found, ttl: float, *, queued: bool = False
    ) -> Lease | Busy | Found | None:
        grant = self._tier.acquire(
            call.key, found.entry, call.lifetime, ttl, queued=queued
        )
        if isinstance(grant, Busy):
            self._taken.remember(call.key, found.entry, grant.expires_in)
        return grant

    def _tell_missed(self, call: Call) -> None:
        if self._listeners:
            self._listeners.tell(events.Missed(region=self._tier.region, key=call.key))
