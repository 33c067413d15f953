"""Having values refreshed behind the callers' backs, at most once each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from holdover.regions import events
from holdover.regions.backends.grants import Busy, Lease
from holdover.regions.calls import Call, CreateMany
from holdover.regions.flights import FLIGHTS
from holdover.regions.lifetime import LeaseTerms
from holdover.regions.making import Maker
from holdover.regions.ordering import Chain
from holdover.regions.outcomes import Found
from holdover.regions.patience import TakenLeases
from holdover.regions.refresh.base import BatchOrder, Job, RefreshOrder
from holdover.regions.tier import Answer, Tier
from holdover.regions.timesource import TimeSource

MOST_IN_ORDER = 100
"""How many keys one order asks for at most."""


class Orders:
    """Places the refresh orders of one region.

    Args:
        tier: The region's entries.
        terms: How long leases last.
        chain: The runners; empty if callers create in the foreground.
        maker: Carries out what stays in this process.
        taken: The leases that others are known to hold.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        tier: Tier,
        terms: LeaseTerms,
        chain: Chain,
        *,
        maker: Maker,
        taken: TakenLeases,
        time_source: TimeSource,
    ) -> None:
        self._tier = tier
        self._terms = terms
        self._chain = chain
        self._maker = maker
        self._taken = taken
        self._time = time_source

    def __bool__(self) -> bool:
        return bool(self._chain)

    def place(self, call: Call, found: Found) -> Found | None:
        """Order one refresh, unless one is under way; give a newer value if seen."""
        if self._taken.knows(call.key, found.entry):
            return None
        with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
            if not seat.is_mine:
                return None
            grant = self._tier.acquire(
                call.key,
                found.entry,
                call.lifetime,
                self._ttl([call]),
                queued=True,
            )
            if isinstance(grant, Busy):
                self._taken.remember(call.key, found.entry, grant.expires_in)
            if isinstance(grant, Lease):
                self._taken.remember(call.key, found.entry, grant.ttl)
                self._dispatch(call, grant)
        return grant if isinstance(grant, Found) else None

    def place_many(
        self, pairs: Sequence[tuple[Call, Found]], create: CreateMany
    ) -> dict[str, Found]:
        """Order one refresh of each; give the newer values that were seen, by key."""
        newer: dict[str, Found] = {}
        for start in range(0, len(pairs), MOST_IN_ORDER):
            newer.update(self._place_some(pairs[start : start + MOST_IN_ORDER], create))
        return newer

    def _place_some(
        self, pairs: Sequence[tuple[Call, Found]], create: CreateMany
    ) -> dict[str, Found]:
        newer: dict[str, Found] = {}
        leased: list[tuple[Call, Lease]] = []
        with ExitStack() as seats:
            free = [
                (call, found)
                for call, found in pairs
                if not self._taken.knows(call.key, found.entry)
                and seats.enter_context(
                    FLIGHTS.board((self._tier, call.key), may_wait=False)
                ).is_mine
            ]
            for (call, found), grant in zip(free, self._acquire(free), strict=True):
                if isinstance(grant, Busy):
                    self._taken.remember(call.key, found.entry, grant.expires_in)
                elif isinstance(grant, Found):
                    newer[call.key] = grant
                elif grant is not None:
                    self._taken.remember(call.key, found.entry, grant.ttl)
                    leased.append((call, grant))
            if leased:
                self._dispatch_many(leased, create)
        return newer

    def _acquire(self, free: Sequence[tuple[Call, Found]]) -> list[Answer]:
        if not free:
            return []
        calls = [call for call, _ in free]
        return self._tier.acquire_multi(
            {call.key: found.entry for call, found in free},
            calls[0].lifetime,
            self._ttl(calls),
            queued=True,
        )

    def _dispatch_many(
        self, leased: Sequence[tuple[Call, Lease]], create: CreateMany
    ) -> None:
        """Order several at once, or each for itself if not all of them can travel."""
        orders = [self._order(call, lease) for call, lease in leased]
        travelling = [order for order in orders if order is not None]
        if len(leased) == 1 or (travelling and len(travelling) < len(leased)):
            for call, lease in leased:
                self._dispatch(call, lease)
            return
        calls = [call for call, _ in leased]
        tokens = [lease.token for _, lease in leased]
        job = Job(
            key=calls[0].key,
            carry_out=lambda: self._maker.fulfil_many(calls, tokens, create),
            order=BatchOrder.of(travelling) if travelling else None,
        )
        self._chain.dispatch(job, partial(self._give_up, [one for _, one in leased]))

    def _ttl(self, calls: Sequence[Call]) -> float:
        """How long the leases are held; longer if they wait in a queue."""
        travels = self._chain.takes_orders and any(
            call.order is not None and call.order() is not None for call in calls
        )
        return self._terms.queue_ttl if travels else self._terms.ttl

    def _dispatch(self, call: Call, lease: Lease) -> None:
        job = Job(
            key=call.key,
            carry_out=lambda: self._maker.fulfil(call, lease.token),
            order=self._order(call, lease),
        )
        self._chain.dispatch(job, partial(self._give_up, [lease]))

    def _give_up(self, leases: Sequence[Lease], reason: str) -> None:
        """Free what nobody will refresh now, so that the next caller orders it."""
        for lease in leases:
            self._tier.tell(events.OrderFailed, lease.key, reason)
            self._tier.release(lease)

    def _order(self, call: Call, lease: Lease) -> RefreshOrder | None:
        """Describe the refresh as data, if it can travel."""
        described = call.order() if call.order is not None else None
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
