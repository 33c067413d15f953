"""Those who answer a region's calls together, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from holdover.regions.events import Listeners
from holdover.regions.foreground import Foreground
from holdover.regions.lifetime import CreatorTerms, LeaseTerms
from holdover.regions.making import Maker
from holdover.regions.ordering import Chain
from holdover.regions.orders import Orders
from holdover.regions.patience import TakenLeases
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What a region's answers are made with.

    Attributes:
        tier: The region's entries and leases.
        terms: How long leases last and callers wait.
        creator_terms: What callers put up with from a creator.
        listeners: Whom to tell what happens.
        time: The clocks to go by.
        taken: The leases that others are known to hold.
        maker: Runs creators and stores what they make.
        foreground: Creates for callers who wait.
        orders: Has values refreshed behind their backs.
    """

    tier: Tier
    terms: LeaseTerms
    creator_terms: CreatorTerms
    listeners: Listeners
    time: TimeSource
    taken: TakenLeases
    maker: Maker
    foreground: Foreground
    orders: Orders

    @classmethod
    def of(
        cls,
        tier: Tier,
        terms: LeaseTerms,
        creator_terms: CreatorTerms,
        chain: Chain,
        *,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> Self:
        """Put a crew together, with the runners of *chain*."""
        taken = TakenLeases(time_source)
        maker = Maker(
            tier, terms, creator_terms, listeners=listeners, time_source=time_source
        )
        return cls(
            tier=tier,
            terms=terms,
            creator_terms=creator_terms,
            listeners=listeners,
            time=time_source,
            taken=taken,
            maker=maker,
            foreground=Foreground(
                tier,
                maker,
                creator_terms,
                wait=terms.wait,
                listeners=listeners,
                time_source=time_source,
            ),
            orders=Orders(
                tier, terms, chain, maker=maker, taken=taken, time_source=time_source
            ),
        )
