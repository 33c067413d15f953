"""Carrying out ordered refreshes: those that still matter, each once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from holdover.regions import events
from holdover.regions.backends.grants import Lease
from holdover.regions.calls import Call, CreateMany, Made, Part
from holdover.regions.contexts import Contexts
from holdover.regions.errors import InvalidOrder
from holdover.regions.events import Listeners
from holdover.regions.flights import FLIGHTS, Flight
from holdover.regions.lifetime import LeaseTerms
from holdover.regions.making import Maker
from holdover.regions.outcomes import MISSING
from holdover.regions.refresh.base import Origin, Outcome
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource

if TYPE_CHECKING:
    from holdover.regions.readers import Readers

OVERTAKEN = Outcome(done=False, reason="overtaken")
IDLE = Outcome(done=False, reason="nobody asks for it")


class Fulfiller:
    """Carries out the orders for one region, in a worker or in this process.

    Args:
        tier: The region's entries.
        maker: Runs creators and stores their values.
        terms: How long leases last.
        contexts: What orders bring along.
        readers: Who asks for what; None if it does not matter.
        listeners: Whom to tell what happens.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        tier: Tier,
        maker: Maker,
        terms: LeaseTerms,
        *,
        contexts: Contexts,
        readers: Readers | None,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self._tier = tier
        self._maker = maker
        self._terms = terms
        self._contexts = contexts
        self._readers = readers
        self._listeners = listeners
        self._time = time_source

    def fulfil(self, call: Call, token: str, origin: Origin) -> Outcome:
        """Carry out an order of which *token* is the proof, unless it was overtaken.

        Raises:
            InvalidOrder: It brings a context that is not known here.
        """
        self._check(call.key, origin)
        lag = origin.lag(self._time.wall())
        return replace(self._fulfil(call, token, origin, lag), lag=lag)

    def _fulfil(self, call: Call, token: str, origin: Origin, lag: float) -> Outcome:
        lease = self._adopt(call.key, token)
        if lease is None:
            return OVERTAKEN
        if self._is_idle(lease, origin):
            return IDLE
        call.create = self._contexts.around(origin.context, call.create)
        with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
            flight = seat.flight if seat.is_mine else Flight()
            try:
                made = self._maker.under(call, lease, flight)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the creator's own
                return self._failed([call], error)
        if not made.stored:
            return Outcome(done=False, reason="not stored", cost=made.cost)
        self._tell_refreshed(call, made, origin, lag)
        return Outcome(done=True, reason="refreshed", cost=made.cost)

    def fulfil_many(
        self,
        calls: Sequence[Call],
        tokens: Sequence[str],
        create: CreateMany,
        origin: Origin,
    ) -> Outcome:
        """Carry out an order for several keys, those of which were not overtaken.

        Raises:
            InvalidOrder: See `fulfil`.
        """
        self._check(calls[0].key, origin)
        lag = origin.lag(self._time.wall())
        create = self._contexts.around(origin.context, create)
        with ExitStack() as seats:
            parts = self._parts(calls, tokens, seats)
            outcome = self._fulfil_parts(parts, create, origin, lag)
        return replace(outcome, lag=lag)

    def _fulfil_parts(
        self, parts: Sequence[Part], create: CreateMany, origin: Origin, lag: float
    ) -> Outcome:
        needed = [part for part in parts if not self._is_idle(part.lease, origin)]
        if not needed:
            return IDLE if parts else OVERTAKEN
        try:
            made = self._maker.many(needed, create)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the creator's own
            return self._failed([part.call for part in needed], error)
        for part, one in zip(needed, made, strict=True):
            if one.stored:
                self._tell_refreshed(part.call, one, origin, lag)
        cost = sum(one.cost for one in made)
        if not any(one.stored for one in made):
            return Outcome(done=False, reason="not stored", cost=cost)
        return Outcome(done=True, reason="refreshed", cost=cost)

    # -- small steps -----------------------------------------------------------

    def _check(self, key: str, origin: Origin) -> None:
        try:
            self._contexts.check(origin.context)
        except InvalidOrder as error:
            self._tier.tell(events.OrderDropped, key, str(error))
            raise

    def _parts(
        self, calls: Sequence[Call], tokens: Sequence[str], seats: ExitStack
    ) -> list[Part]:
        """Take over what was not overtaken."""
        parts = []
        for call, token in zip(calls, tokens, strict=True):
            lease = self._adopt(call.key, token)
            if lease is not None:
                boarding = FLIGHTS.board((self._tier, call.key), may_wait=False)
                seat = seats.enter_context(boarding)
                flight = seat.flight if seat.is_mine else Flight()
                parts.append(Part(call, MISSING, flight, lease))
        return parts

    def _adopt(self, key: str, token: str) -> Lease | None:
        """Take over an ordered lease, unless the order was overtaken."""
        # Promise 6: the token is swapped in the same step, so that the second delivery
        # of a message finds another one.
        lease = self._tier.adopt(key, token, self._terms.ttl)
        if lease is None:
            reason = "overtaken: its lease is no longer the one that was ordered with"
            self._tier.tell(events.OrderDropped, key, reason)
        return lease

    def _is_idle(self, lease: Lease | None, origin: Origin) -> bool:
        """Say whether nobody wants the value; if so, free the key for who will."""
        if self._readers is None or lease is None:
            return False
        if self._readers.are_there(lease.key, origin.read_at):
            return False
        self._tier.tell(events.OrderDropped, lease.key, "idle: nobody has asked for it")
        self._tier.release(lease)
        return True

    def _failed(self, calls: Sequence[Call], error: BaseException) -> Outcome:
        for call in calls:
            self._tier.tell(events.RefreshFailed, call.key, repr(error))
        return Outcome(done=False, reason=f"creator failed: {error!r}")

    def _tell_refreshed(
        self, call: Call, made: Made, origin: Origin, lag: float
    ) -> None:
        self._listeners.tell(
            events.Refreshed(
                region=self._tier.region,
                key=call.key,
                cost=made.cost,
                task_id=origin.task_id,
                lag=lag,
            )
        )
