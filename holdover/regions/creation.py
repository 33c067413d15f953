"""Who makes the value, and what everybody else gets meanwhile.

First a *flight*: one thread per process and key goes to the backend. Then a *lease*:
one process in the fleet may create. The numbers in the comments are those of the
promises in the documentation ("What the lease promises").
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from holdover.regions import events
from holdover.regions.backends.grants import Busy, Lease, LeaseKind
from holdover.regions.calls import Call, Made
from holdover.regions.crew import Crew
from holdover.regions.errors import BackendError, CreatorBackoff, LeaseTimeout
from holdover.regions.flights import (
    FLIGHTS,
    Flight,
    Landed,
    ticket,
)
from holdover.regions.freshness import Freshness, is_due_early
from holdover.regions.outcomes import Found
from holdover.regions.patience import Polls
from holdover.regions.tier import Answer

_CLAIMS = 10  # tries against others who change the same key
AT_ONCE = (LeaseKind.QUEUED, LeaseKind.BACKING_OFF)


class Creation:
    """Answers the calls of one region for which there is no fresh value.

    Args:
        crew: Those who do the work.
        raise_on_timeout: Whether a caller whose wait is over gets `LeaseTimeout`
            instead of creating a value for itself.
    """

    def __init__(self, crew: Crew, *, raise_on_timeout: bool) -> None:
        self._tier = crew.tier
        self._terms = crew.terms
        self._raise_on_timeout = raise_on_timeout
        self._backoff_when_gone = crew.creator_terms.backoff_when_gone
        self._listeners = crew.listeners
        self._time = crew.time
        self._taken = crew.taken
        self._maker = crew.maker
        self._orders = crew.orders
        self._foreground = crew.foreground

    def answer(self, call: Call, found: Found) -> Any:
        """Give the caller a value, which may be an old one.

        Raises:
            LeaseTimeout: Nobody created it in time, and the region is set to raise.
            CreatorTimeout: Its creator took too long.
            CreatorBackoff: Its creator has failed and is left alone.
            RecursiveCreation: The creator asked for its own key.
            LazyValue: The creator returned something that can be read only once.
            Exception: Whatever the creator raised, unchanged.
        """
        call.asked = ticket()
        if found.freshness in (Freshness.FRESH, Freshness.STALE):
            return self._serve_stale(call, found)
        self.tell_missed(call)
        if call.empty is not None and self._is_ordered(call):
            newer = self._orders.place(call, found)
            return self.serve_or_empty(call, newer or found)
        return self._create_or_wait(call, found)

    def serve_or_empty(self, call: Call, found: Found) -> Any:
        """Answer now, while a refresh is ordered; wait if there is nothing to serve."""
        if found.freshness in (Freshness.FRESH, Freshness.STALE) or call.empty is None:
            return self._serve_old(call, found)
        return call.empty()

    def settle(self, call: Call, found: Found) -> Any:
        """Answer when others create the value: an old one, or theirs."""
        if found.freshness in (Freshness.FRESH, Freshness.STALE):
            return self._serve_old(call, found)
        return self._create_or_wait(call, found)

    def answer_fresh(self, call: Call, found: Found) -> Any:
        """Give a fresh value; draw lots whether to refresh it already."""
        if is_due_early(found.entry, call.lifetime, self._time.wall()):
            return self.answer(call, found)
        return found.entry.value

    def recreate(self, call: Call, *, unless_fresh: bool = False) -> Made | None:
        """Create a value now, whatever is there, and store it unless overtaken.

        With *unless_fresh* give None if there is a fresh one, maybe of others' making.

        Raises:
            RecursiveCreation: The creator itself asked for it.
            Exception: Whatever the creator raised, unchanged; what was there stays.
        """
        found = self._tier.look(call.key, call.lifetime)
        wait = self._terms.wait
        return self._create_now(call, found, wait=wait, unless_fresh=unless_fresh)

    def warm(self, call: Call, *, force: bool) -> Made | None:
        """Create a value now unless there is a fresh one, and do not make shift.

        Args:
            call: The call.
            force: Whether to create even if there is a fresh one.

        Returns:
            What was made; None if there is a fresh one, maybe of others' making.

        Raises:
            BackendError: The backend cannot be reached.
            LeaseTimeout: Somebody else has been creating it for ``lease.max_hold``.
            Exception: Whatever the creator raised, unchanged; what was there stays.
        """
        call.strict = True
        found = self._tier.look(call.key, call.lifetime, strict=True)
        wait = self._terms.max_hold
        return self._create_now(call, found, wait=wait, unless_fresh=not force)

    def _create_now(
        self, call: Call, found: Found, *, wait: float, unless_fresh: bool
    ) -> Made | None:
        """Create, after whoever else does; None if that has become needless."""
        call.asked = ticket()
        deadline = self._time.steady() + wait
        polls = Polls(found.entry.cost)
        while not (unless_fresh and found.freshness is Freshness.FRESH):
            with FLIGHTS.board((self._tier, call.key)) as seat:
                flight = seat.flight if seat.is_mine else Flight()
                grant = self._acquire(call, found, overtaking=AT_ONCE)
                left = deadline - self._time.steady()
                if isinstance(grant, Lease):
                    return self._maker.under(call, grant, flight)
                if grant is None or left <= 0:
                    self._refuse_unleased(call, grant)
                    return self._foreground.unleased(call, flight)
            if isinstance(grant, Found):
                found = grant
            else:  # somebody else creates, who may have begun before we were asked
                self._time.sleep(polls.next_pause(min(left, grant.expires_in)))
        return None

    def _refuse_unleased(self, call: Call, grant: Busy | Found | None) -> None:
        """Raise if the caller wants no value that cannot be stored."""
        if not call.strict:
            return
        if grant is None:
            raise BackendError(f"no lease of {call.user_key!r} is to be had")
        raise LeaseTimeout(f"somebody else has been creating {call.key!r} for too long")

    # -- an old value is at hand -----------------------------------------------

    def _serve_stale(self, call: Call, found: Found) -> Any:
        if self._is_ordered(call):
            newer = self._orders.place(call, found)
            return self._serve_old(call, newer or found)
        if self._taken.knows(call.key, found.entry):
            return self._serve_old(call, found)
        with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
            if not seat.is_mine:
                return self._serve_old(call, found)
            grant = self._acquire(call, found)
            if isinstance(grant, Lease):
                self.tell_paid(call, found)
                return self._foreground.create(call, grant, seat.flight, found)
        # Only now, with the flight over: what is there may be gone for this caller.
        return self._serve_old(call, grant if isinstance(grant, Found) else found)

    def _serve_old(self, call: Call, found: Found) -> Any:
        """Serve what was found; if it has gone since, start over."""
        if found.freshness is Freshness.GONE:
            return self._create_or_wait(call, found)
        return self._foreground.serve(call, found)

    # -- no usable value -------------------------------------------------------

    def _create_or_wait(self, call: Call, found: Found) -> Any:
        deadline = self._time.steady() + self._terms.wait
        while True:
            with FLIGHTS.board((self._tier, call.key)) as seat:
                if seat.is_mine:
                    polls = Polls(found.entry.cost)
                    try:
                        return self._lead(call, seat.flight, found, deadline, polls)
                    finally:
                        self._tell_waited(call, polls.waited)
                left = max(0.0, deadline - self._time.steady())
                if not self._waits_for(call, seat.flight, left):
                    return self._lose_patience(call, found)
                landed = seat.flight.landed
            if self._is_pause_of_others(landed, found):
                continue
            if _is_for(call, landed):
                return self._share(call, found, landed)
            # We asked after that value's creator had started, and something was
            # invalidated meanwhile, maybe before we asked (promise 1). So look again.
            found = self._tier.look(call.key, call.lifetime)
            if found.freshness in (Freshness.FRESH, Freshness.STALE):
                return self._serve_old(call, found)

    def _lead(
        self, call: Call, flight: Flight, found: Found, deadline: float, polls: Polls
    ) -> Any:
        """Create, or wait for the process that does, on behalf of all who joined."""
        while True:
            looked = ticket()
            grant = self._acquire(call, found, overtaking=self._overtaking(found))
            if isinstance(grant, Lease):
                return self._foreground.create(call, grant, flight, found)
            if isinstance(grant, Busy) and grant.kind is LeaseKind.BACKING_OFF:
                return self._foreground.backing_off(call, grant, flight, found)
            if grant is None:
                self._refuse_unleased(call, grant)
                return self._foreground.create_unstored(call, flight, found)
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
        return self._create_for_oneself(call, found)

    def _create_for_oneself(self, call: Call, found: Found) -> Any:
        """Create what is not stored, one creator at a time for each key."""
        deadline = self._time.steady() + self._terms.wait
        while True:
            with FLIGHTS.board((self._tier, call.key, "unstored")) as seat:
                if seat.is_mine:
                    return self._foreground.create_unstored(call, seat.flight, found)
                left = max(0.0, deadline - self._time.steady())
                if not self._waits_for(call, seat.flight, left):
                    return self._foreground.create_unstored(call, Flight(), found)
                landed = seat.flight.landed
            if _is_for(call, landed):
                return self._share(call, found, landed)

    def _share(self, call: Call, found: Found, landed: Landed) -> Any:
        """Give what another caller's flight has brought."""
        if landed.error is not None:
            return self._foreground.failed(call, found, landed.error, landed.traceback)
        return landed.value

    # -- small steps -----------------------------------------------------------

    def _is_ordered(self, call: Call) -> bool:
        return bool(self._orders) and not call.foreground

    def order(self, call: Call) -> None:
        """Have an old value refreshed, if somebody can be told to."""
        if self._orders:
            found = self._tier.look(call.key, call.lifetime)
            if found.freshness in (Freshness.STALE, Freshness.FALLBACK):
                self._orders.place(call, found, is_read=False)

    def claim(self, call: Call, found: Found) -> Lease | Busy | None:
        """Win the lease, whatever value is there; None if the backend cannot say."""
        for _ in range(_CLAIMS):
            grant = self._acquire(call, found, overtaking=AT_ONCE)
            if not isinstance(grant, Found):
                return grant
            found = grant
        return Busy(0.0)  # it changes faster than it can be leased

    def lease_stale(self, call: Call, found: Found) -> Lease | Found:
        """Win the lease over a stale value, or give what all others are served."""
        if not self._taken.knows(call.key, found.entry):
            with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
                grant = self._acquire(call, found) if seat.is_mine else None
                if isinstance(grant, Lease | Found):
                    return grant
        return found

    def _acquire(
        self,
        call: Call,
        found: Found,
        *,
        overtaking: Collection[LeaseKind] = (),
    ) -> Answer:
        grant = self._tier.acquire(
            call.key,
            found.entry,
            call.lifetime,
            self._terms.ttl,
            overtaking=overtaking,
        )
        if isinstance(grant, Busy):
            self._taken.remember(call.key, found.entry, grant.expires_in)
        return grant

    def _is_pause_of_others(self, landed: Landed, found: Found) -> bool:
        """Say whether a failed creator is left alone, but not by this caller.

        Whoever led the flight had an old value to serve, and this one has none.
        """
        return isinstance(
            landed.error, CreatorBackoff
        ) and LeaseKind.BACKING_OFF in self._overtaking(found)

    def _overtaking(self, found: Found) -> Collection[LeaseKind]:
        """What does not keep from creating somebody who found no usable value."""
        spares = found.freshness is not Freshness.GONE or self._backoff_when_gone
        return (LeaseKind.QUEUED,) if spares else AT_ONCE

    def tell_paid(self, call: Call, found: Found) -> None:
        """Tell of a caller who creates what others are served, if it is stale."""
        if found.freshness is Freshness.STALE:
            self.tell_missed(call)

    def _waits_for(self, call: Call, flight: Flight, most: float) -> bool:
        """Wait for another caller's flight; say whether it has landed."""
        begun = self._time.steady()
        has_landed = FLIGHTS.wait(flight, most)
        self._tell_waited(call, self._time.steady() - begun)
        return has_landed

    def _tell_waited(self, call: Call, waited: float) -> None:
        if waited:
            region = self._tier.region
            self._listeners.tell(
                events.Waited(region=region, key=call.key, waited=waited)
            )

    def tell_missed(self, call: Call) -> None:
        """Tell those who listen that there was no value to serve."""
        self._listeners.tell(events.Missed(region=self._tier.region, key=call.key))


def _is_for(call: Call, landed: Landed) -> bool:
    """Say whether a caller may have what came of a flight: errors are for all."""
    return landed.error is not None or call.asked < landed.valid_before
