"""Those who answer a region's calls together, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from holdover.regions.events import Listeners
from holdover.regions.foreground import Foreground
from holdover.regions.fulfilling import Fulfiller
from holdover.regions.lifetime import CreatorTerms, LeaseTerms
from holdover.regions.making import Maker
from holdover.regions.ordering import Chain
from holdover.regions.orders import Orders
from holdover.regions.patience import TakenLeases
from holdover.regions.terms import Terms
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource
from holdover.regions.values import frozen

if TYPE_CHECKING:
    from holdover.regions.readers import Readers


@frozen(kw_only=True)
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
        fulfiller: Carries out orders.
        orders: Has values refreshed behind their backs.
        readers: Who asks for what; None if it does not matter.
    """

    tier: Tier
    terms: LeaseTerms
    creator_terms: CreatorTerms
    listeners: Listeners
    time: TimeSource
    taken: TakenLeases
    maker: Maker
    foreground: Foreground
    fulfiller: Fulfiller
    orders: Orders
    readers: Readers | None

    @classmethod
    def of(
        cls,
        tier: Tier,
        terms: Terms,
        chain: Chain,
        *,
        listeners: Listeners,
        time_source: TimeSource,
    ) -> Self:
        """Put a crew together, with the runners of *chain*."""
        told: Any = {"listeners": listeners, "time_source": time_source}
        taken = TakenLeases(time_source)
        maker = Maker(tier, terms.lease, terms.creator, **told)
        readers = _readers(tier, terms, time_source)
        fulfiller = Fulfiller(
            tier, maker, terms.lease, contexts=terms.contexts, readers=readers, **told
        )
        return cls(
            tier=tier,
            terms=terms.lease,
            creator_terms=terms.creator,
            listeners=listeners,
            time=time_source,
            taken=taken,
            maker=maker,
            foreground=Foreground(
                tier, maker, terms.creator, wait=terms.lease.wait, **told
            ),
            fulfiller=fulfiller,
            orders=Orders(
                tier,
                terms,
                chain,
                fulfiller=fulfiller,
                taken=taken,
                **told,
            ),
            readers=readers,
        )


def _readers(tier: Tier, terms: Terms, time_source: TimeSource) -> Readers | None:
    span = terms.orders.unless_idle_for
    if span is None:
        return None
    from holdover.regions.readers import Readers

    return Readers(tier, span, time_source)
