"""aiocache, of asyncio's."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from aiocache import Cache, cached
from aiocache.serializers import NullSerializer, PickleSerializer

from peers.subject import KEYS, LIFETIME, VALUE, Call, Maker, Place, awaited_hit


def server(place: Place) -> dict[str, Any]:
    """Give what a client must know, and that values are pickled."""
    found = urlsplit(place.url if "://" in place.url else f"//{place.url}")
    return {
        "endpoint": found.hostname,
        "port": found.port,
        "serializer": PickleSerializer(),
    }


def key_of(function: object, article: int, shop: int, name: str) -> str:
    """Make a key without spaces, which memcached would refuse."""
    return f"price:{article}:{shop}:{name}"


def decorated(place: Place, make: Maker, kind: type, **known: Any) -> Call:
    """Give a hit of a decorated function."""
    return awaited_hit(
        cached(
            LIFETIME,
            cache=kind,
            key_builder=key_of,
            namespace=place.name,
            **known,
        )(make.awaited_price)
    )


def got(place: Place, kind: type, **known: Any) -> Call:
    """Give ``multi_get()`` of all keys, which are there from the first call on."""
    cache = Cache(kind, namespace=place.name, **known)

    async def call() -> Any:
        found = await cache.multi_get(KEYS)
        if None in found:
            await cache.multi_set([(key, VALUE) for key in KEYS], ttl=LIFETIME)
        return found

    return call


def memory(place: Place, make: Maker) -> Call:
    """In this process."""
    return decorated(place, make, Cache.MEMORY, serializer=NullSerializer())


def redis(place: Place, make: Maker) -> Call:
    """In Redis."""
    return decorated(place, make, Cache.REDIS, **server(place))


def memcached(place: Place, make: Maker) -> Call:
    """In memcached."""
    return decorated(place, make, Cache.MEMCACHED, **server(place))


def many_memory(place: Place, make: Maker) -> Call:
    """Many in this process."""
    return got(place, Cache.MEMORY, serializer=NullSerializer())


def many_redis(place: Place, make: Maker) -> Call:
    """Many in Redis."""
    return got(place, Cache.REDIS, **server(place))


def many_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached."""
    return got(place, Cache.MEMCACHED, **server(place))
