"""What is measured of a region alike, be it ours or dogpile.cache's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.subject import KEYS, VALUE, Call, Maker, hit

if TYPE_CHECKING:
    from dogpile.cache import CacheRegion


def decorated(region: CacheRegion, make: Maker) -> Call:
    """Give a hit of a function that a region has decorated."""
    return hit(region.cache_on_arguments()(make.price))


def got(region: CacheRegion) -> Call:
    """Give ``get_multi()`` of all keys."""
    region.set_multi(dict.fromkeys(KEYS, VALUE))
    return lambda: region.get_multi(KEYS)


def listed(region: CacheRegion) -> Call:
    """Give a call of a function that is asked for many."""

    @region.cache_multi_on_arguments()
    def prices(*keys: str) -> list[object]:
        return [VALUE] * len(keys)

    return lambda: prices(*KEYS)
