"""cashews, of asyncio's."""

from __future__ import annotations

from typing import Any

from cashews import Cache

from peers.subject import KEYS, LIFETIME, VALUE, Call, Maker, Place, awaited_hit


def decorated(url: str, make: Maker) -> Call:
    """Give a hit of a decorated function."""
    cache = Cache()
    cache.setup(url)
    return awaited_hit(cache(ttl=LIFETIME)(make.awaited_price))


def got(place: Place, url: str) -> Call:
    """Give ``get_many()`` of all keys, which are there from the first call on."""
    cache = Cache()
    cache.setup(url)
    keys = [f"{place.name}:{key}" for key in KEYS]

    async def call() -> Any:
        found = await cache.get_many(*keys)
        if None in found:
            await cache.set_many(dict.fromkeys(keys, VALUE), expire=LIFETIME)
        return found

    return call


def memory(place: Place, make: Maker) -> Call:
    """In this process."""
    return decorated("mem://", make)


def file(place: Place, make: Maker) -> Call:
    """In files, by diskcache."""
    return decorated(f"disk://?directory={place.folder}", make)


def redis(place: Place, make: Maker) -> Call:
    """In Redis."""
    return decorated(place.url, make)


def many_memory(place: Place, make: Maker) -> Call:
    """Many in this process."""
    return got(place, "mem://")


def many_redis(place: Place, make: Maker) -> Call:
    """Many in Redis."""
    return got(place, place.url)
