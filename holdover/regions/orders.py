"""Having values refreshed behind the callers' backs, at most once each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from holdover.regions import events
from holdover.regions.backends.grants import Busy, Lease, LeaseKind
from holdover.regions.bucket import Bucket
from holdover.regions.calls import Call, CreateMany
from holdover.regions.events import Listeners
from holdover.regions.flights import FLIGHTS
from holdover.regions.fulfilling import Fulfiller
from holdover.regions.ordering import Chain
from holdover.regions.outcomes import Found
from holdover.regions.patience import TakenLeases
from holdover.regions.refresh.base import BatchOrder, Job, Origin, RefreshOrder
from holdover.regions.terms import Terms
from holdover.regions.tier import Answer, Tier
from holdover.regions.timesource import TimeSource

MOST_IN_ORDER = 100
"""How many keys one order asks for at most."""

_SHORTEST_PASSING_OVER = 1.0  # seconds


class Orders:
    """Places the refresh orders of one region.

    Args:
        tier: The region's entries.
        terms: How many orders there may be, how they travel, and how long one may wait.
        chain: The runners; empty if callers create in the foreground.
        fulfiller: Carries out what stays in this process.
        taken: The leases that others are known to hold.
        listeners: Whom to tell what happens.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        tier: Tier,
        terms: Terms,
        chain: Chain,
        *,
        fulfiller: Fulfiller,
        taken: TakenLeases,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> None:
        self._tier = tier
        self._terms = terms.lease
        self._queue_wait = terms.orders.queue_wait
        self._bucket = Bucket(terms.orders, time_source)
        self._chain = chain
        self._task_options = terms.task_options
        self._contexts = terms.contexts
        self._fulfiller = fulfiller
        self._taken = taken
        self._listeners = listeners
        self._time = time_source

    def __bool__(self) -> bool:
        return bool(self._chain)

    def place(self, call: Call, found: Found, *, is_read: bool = True) -> Found | None:
        """Order one refresh, unless one is under way; give a newer value if seen.

        Args:
            call: The request for the value.
            found: What there is.
            is_read: Whether somebody has asked for the value just now.
        """
        if self._taken.knows(call.key, found.entry):
            return None
        with FLIGHTS.board((self._tier, call.key), may_wait=False) as seat:
            if not seat.is_mine:
                return None
            if not self._bucket.take(1):
                self._postpone(call)
                return None
            grant = self._acquire(call, found)
            if isinstance(grant, Lease):
                self._taken.remember(call.key, found.entry, grant.ttl)
                self._tell_ordered(call)
                self._dispatch(call, grant, self._origin(is_read=is_read))
            else:
                self._bucket.put_back(1)
        return grant if isinstance(grant, Found) else None

    def place_many(
        self, pairs: Sequence[tuple[Call, Found]], create: CreateMany
    ) -> dict[str, Found]:
        """Order one refresh of each; give the newer values that were seen, by key."""
        newer: dict[str, Found] = {}
        for start in range(0, len(pairs), MOST_IN_ORDER):
            newer.update(self._place_some(pairs[start : start + MOST_IN_ORDER], create))
        return newer

    def queued_for(self, kind: LeaseKind, expires_in: float | None) -> float | None:
        """Tell for how many seconds a key's order has waited; None if none does.

        Args:
            kind: What its lease is for.
            expires_in: Seconds until that lapses.
        """
        # Any that can travel has had the same time: see `_ttl`.
        is_queued = kind is LeaseKind.QUEUED and self._chain.takes_orders
        if not is_queued or expires_in is None:
            return None
        return max(0.0, self._terms.queue_ttl - expires_in)

    # -- one by one ------------------------------------------------------------

    def _acquire(self, call: Call, found: Found) -> Answer:
        """Win the lease; from a queue, too, if it has waited there for too long."""
        travels, timeout = self._travels(call), call.refresh_timeout
        grant = self._tier.acquire(
            call.key,
            found.entry,
            call.lifetime,
            self._ttl(travels=travels) if timeout is None else timeout,
            queued=True,
        )
        if not isinstance(grant, Busy):
            return grant
        if travels and self._is_overdue(call.key, grant):
            grant = self._tier.acquire(
                call.key,
                found.entry,
                call.lifetime,
                self._terms.ttl,
                overtaking=[LeaseKind.QUEUED],
            )
        if isinstance(grant, Busy):
            self._taken.remember(call.key, found.entry, grant.expires_in)
        return grant

    def _is_overdue(self, key: str, busy: Busy) -> bool:
        """Say whether an order has waited for too long; if so, pass its queue over."""
        waited = self.queued_for(busy.kind, busy.expires_in)
        if self._queue_wait is None or waited is None or waited < self._queue_wait:
            return False
        reason = f"an order has waited for {waited:.3g} s"
        self._tier.tell(events.QueueBehind, key, reason)
        self._chain.pass_queues_over(max(_SHORTEST_PASSING_OVER, self._queue_wait))
        return True

    def _dispatch(self, call: Call, lease: Lease, origin: Origin | None) -> None:
        if origin is None:
            self._give_up([lease], "its context could not be captured")
            return
        options = self._options(call)
        order = None if options is None else self._order(call, lease, origin)
        job = Job(
            key=call.key,
            carry_out=lambda: self._fulfiller.fulfil(call, lease.token, origin),
            order=order,
            task_options=options or {},
        )
        self._chain.dispatch(job, partial(self._give_up, [lease]))

    def _order(self, call: Call, lease: Lease, origin: Origin) -> RefreshOrder | None:
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
            not_after=origin.ordered_at + lease.ttl,
            ordered_at=origin.ordered_at,
            read_at=origin.read_at,
            context=dict(origin.context),
        )

    # -- several at once -------------------------------------------------------

    def _place_some(
        self, pairs: Sequence[tuple[Call, Found]], create: CreateMany
    ) -> dict[str, Found]:
        newer: dict[str, Found] = {}
        leased: list[tuple[Call, Lease]] = []
        with ExitStack() as seats:
            free = self._affordable(
                [
                    (call, found)
                    for call, found in pairs
                    if not self._taken.knows(call.key, found.entry)
                    and seats.enter_context(
                        FLIGHTS.board((self._tier, call.key), may_wait=False)
                    ).is_mine
                ]
            )
            for (call, found), grant in zip(
                free, self._acquire_many(free), strict=True
            ):
                if isinstance(grant, Busy):
                    self._taken.remember(call.key, found.entry, grant.expires_in)
                elif isinstance(grant, Found):
                    newer[call.key] = grant
                elif grant is not None:
                    self._taken.remember(call.key, found.entry, grant.ttl)
                    self._tell_ordered(call)
                    leased.append((call, grant))
            self._bucket.put_back(len(free) - len(leased))
            if leased:
                self._dispatch_many(leased, create)
        return newer

    def _affordable(
        self, pairs: Sequence[tuple[Call, Found]]
    ) -> Sequence[tuple[Call, Found]]:
        """Take as many as may be ordered now."""
        count = self._bucket.take(len(pairs))
        for call, _ in pairs[count:]:
            self._postpone(call)
        return pairs[:count]

    def _acquire_many(self, free: Sequence[tuple[Call, Found]]) -> list[Answer]:
        """Win the leases, as `_acquire` does."""
        if not free:
            return []
        seen = {call.key: found.entry for call, found in free}
        lifetime = free[0][0].lifetime
        travels = any(self._travels(call) for call, _ in free)
        ttl = self._ttl(travels=travels)
        grants = dict(
            zip(
                seen,
                self._tier.acquire_multi(seen, lifetime, ttl, queued=True),
                strict=True,
            )
        )
        overdue = {
            key: seen[key]
            for key, grant in grants.items()
            if travels and isinstance(grant, Busy) and self._is_overdue(key, grant)
        }
        if overdue:
            again = self._tier.acquire_multi(
                overdue, lifetime, self._terms.ttl, overtaking=[LeaseKind.QUEUED]
            )
            grants.update(zip(overdue, again, strict=True))
        return list(grants.values())

    def _dispatch_many(
        self, leased: Sequence[tuple[Call, Lease]], create: CreateMany
    ) -> None:
        """Order several at once, or each for itself if not all of them can travel."""
        leases = [lease for _, lease in leased]
        origin = self._origin(is_read=True)
        if origin is None:
            self._give_up(leases, "its context could not be captured")
            return
        orders = [self._order(call, lease, origin) for call, lease in leased]
        travelling = [order for order in orders if order is not None]
        if len(leased) == 1 or (travelling and len(travelling) < len(leased)):
            for call, lease in leased:
                self._dispatch(call, lease, origin)
            return
        calls, tokens = [call for call, _ in leased], [lease.token for lease in leases]
        options = self._options(calls[0])  # they are of one function
        travels = bool(travelling) and options is not None
        job = Job(
            key=calls[0].key,
            carry_out=lambda: self._fulfiller.fulfil_many(
                calls, tokens, create, origin
            ),
            order=BatchOrder.of(travelling) if travels else None,
            task_options=options or {},
        )
        self._chain.dispatch(job, partial(self._give_up, leases))

    # -- small steps -----------------------------------------------------------

    def _travels(self, call: Call) -> bool:
        """Say whether an order for this call would go to a queue."""
        if not self._chain.takes_orders or call.order is None:
            return False
        return call.order() is not None

    def _ttl(self, *, travels: bool) -> float:
        """How long a lease is held; longer if its order waits in a queue."""
        return self._terms.queue_ttl if travels else self._terms.ttl

    def _origin(self, *, is_read: bool) -> Origin | None:
        """Say where an order comes from; None if it cannot take along what it must."""
        now = self._time.wall()
        try:
            context = self._contexts.captured()
        except Exception as error:  # noqa: BLE001 - the application's own
            self._tier.tell(events.OrderFailed, "", f"order_context: {error!r}")
            return None
        return Origin(ordered_at=now, read_at=now if is_read else 0.0, context=context)

    def _options(self, call: Call) -> dict[str, Any] | None:
        """Give the options that a queue gets; None if they cannot be had."""
        options = dict(self._task_options)
        if call.task_options is None:
            return options
        try:
            options.update(call.task_options())
            self._chain.check_task_options(options)
        except Exception as error:  # noqa: BLE001 - the application's own
            self._tier.tell(events.OrderFailed, call.key, f"task_options: {error!r}")
            return None
        return options

    def _tell_ordered(self, call: Call) -> None:
        self._listeners.tell(events.Ordered(region=self._tier.region, key=call.key))

    def _postpone(self, call: Call) -> None:
        reason = "as many are ordered as orders.per_second and orders.burst allow"
        self._tier.tell(events.OrderPostponed, call.key, reason)

    def _give_up(self, leases: Sequence[Lease], reason: str) -> None:
        """Free what nobody will refresh now, so that the next caller orders it."""
        for lease in leases:
            self._tier.tell(events.OrderFailed, lease.key, reason)
            self._tier.release(lease)
