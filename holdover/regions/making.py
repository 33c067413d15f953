"""Running creators, under a lease or without one, and storing what they make."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from holdover.regions import events
from holdover.regions.backends.grants import Lease
from holdover.regions.calls import Call, CreateMany, Made, Part, checked_values
from holdover.regions.envelope import Entry
from holdover.regions.events import Listeners
from holdover.regions.flights import EVERYONE, FLIGHTS, Flight, Landed, ticket
from holdover.regions.leases import RENEWALS
from holdover.regions.lifetime import CreatorTerms, LeaseTerms
from holdover.regions.outcomes import NOT_STORED, Committed
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource


class Maker:
    """Makes values for one region, and stores those that it may.

    Args:
        tier: The region's entries.
        terms: How long leases last.
        creator_terms: For how long a creator that fails is left alone.
        listeners: Whom to tell what happens.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        tier: Tier,
        terms: LeaseTerms,
        creator_terms: CreatorTerms,
        *,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self._tier = tier
        self._terms = terms
        self._backoff = creator_terms.backoff
        self._listeners = listeners
        self._time = time_source

    def under(self, call: Call, lease: Lease, flight: Flight) -> Made:
        """Create and commit, or give the lease up and let the error out."""
        started = ticket()
        try:
            with RENEWALS.holding(self._tier.backend, lease, self._terms):
                made = self._run(call)
        except BaseException as error:
            self._give_up(call, lease, error)
            raise
        # Closed before it is stored, so that nobody joins who might know of an
        # invalidation that comes after the commit.
        FLIGHTS.close((self._tier, call.key), flight)
        for_everyone = made.wanted and self.commit(lease, made)
        if not made.wanted:
            self._tier.release(lease)
        flight.land(
            Landed(made.value, valid_before=EVERYONE if for_everyone else started)
        )
        self.tell_created(call, made)
        return made

    def _give_up(self, call: Call, lease: Lease, error: BaseException) -> None:
        """Free the key; at once, unless the creator itself is to be left alone."""
        own = call.refresh_timeout
        backoff = self._backoff if own is None else own
        if backoff and isinstance(error, Exception):
            self._tier.back_off(lease, backoff, repr(error))
        else:
            self._tier.release(lease)

    def commit(self, lease: Lease, made: Made, *, strict: bool = False) -> bool:
        """Store what was made; say whether late joiners may have it too.

        Raises:
            UncacheableValue: Only if *strict*; the codec cannot encode it.
            BackendError: Only if *strict*; the backend cannot be reached.
        """
        done = self._tier.commit(lease, self._entry(made, lease), strict=strict)
        made.stored = done.stored
        return done.for_everyone

    def _entry(self, made: Made, lease: Lease) -> Entry:
        return self._tier.entry(
            made.value,
            made.lifetime,
            fence=lease.fence,
            clock=lease.clock,
            cost=made.cost,
            own_lifetime=made.own_lifetime,
            tags=made.tags,
        )

    def unstored(self, call: Call, flight: Flight) -> Made:
        """Create without a lease: only for those who had asked before it began."""
        started = ticket()
        made = self._run(call)
        flight.land(Landed(made.value, valid_before=started))
        self.tell_created(call, made)
        return made

    def _run(self, call: Call) -> Made:
        """Run the creator, and ask whether its value is to be kept."""
        started = self._time.steady()
        try:
            returned = call.create()
        except (Exception, SystemExit):
            self._tell_raised([call])
            raise
        return Made.of(call, returned, self._time.steady() - started)

    def many(self, parts: Sequence[Part], create: CreateMany) -> list[Made]:
        """Create several at once and commit those that have a lease."""
        started = ticket()
        leased = [(part.call, part.lease) for part in parts if part.lease is not None]
        try:
            with ExitStack() as renewals:
                for _, lease in leased:
                    renewals.enter_context(
                        RENEWALS.holding(self._tier.backend, lease, self._terms)
                    )
                made = self._run_many(parts, create)
        except BaseException as error:
            for call, lease in leased:
                self._give_up(call, lease, error)
            raise
        for part in parts:
            FLIGHTS.close((self._tier, part.call.key), part.flight)
        kept = [
            (part.lease, self._entry(one, part.lease))
            for part, one in zip(parts, made, strict=True)
            if part.lease is not None and one.wanted
        ]
        committed = self._tier.commit_multi(kept) if kept else []
        done = {lease.key: one for (lease, _), one in zip(kept, committed, strict=True)}
        for part, one in zip(parts, made, strict=True):
            self._land(part, one, done.get(part.call.key, NOT_STORED), started)
        return made

    def _run_many(self, parts: Sequence[Part], create: CreateMany) -> list[Made]:
        """Run the creator of several values; each has its share of the cost."""
        started = self._time.steady()
        try:
            returned = create([part.call.user_key for part in parts])
        except (Exception, SystemExit):
            self._tell_raised([part.call for part in parts])
            raise
        values = checked_values(returned, len(parts))
        share = (self._time.steady() - started) / len(parts)
        return [
            Made.of(part.call, value, share)
            for part, value in zip(parts, values, strict=True)
        ]

    def _land(self, part: Part, made: Made, done: Committed, started: int) -> None:
        made.stored = done.stored
        if part.lease is not None and not made.wanted:
            self._tier.release(part.lease)
        valid_before = EVERYONE if done.for_everyone else started
        part.flight.land(Landed(made.value, valid_before=valid_before))
        self.tell_created(part.call, made)

    def _tell_raised(self, calls: Sequence[Call]) -> None:
        region = self._tier.region
        for call in calls:
            self._listeners.tell(events.CreatorRaised(region=region, key=call.key))

    def tell_created(self, call: Call, made: Made) -> None:
        """Tell those who listen that a creator has run."""
        self._listeners.tell(
            events.Created(
                region=self._tier.region,
                key=call.key,
                cost=made.cost,
                stored=made.stored,
            )
        )
