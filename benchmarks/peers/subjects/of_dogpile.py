"""dogpile.cache: a region's decorated functions, and many keys."""

from __future__ import annotations

from typing import Any

from dogpile.cache import CacheRegion, make_region
from dogpile.cache.util import sha1_mangle_key

from peers.regions import decorated, got, listed
from peers.subject import LIFETIME, Call, Maker, Place


def configured(place: Place, backend: str, **arguments: Any) -> CacheRegion:
    """Give a region whose keys nobody else has, and memcached does not refuse."""
    mangler = (
        sha1_mangle_key if backend == "pymemcache" else f"{place.name}:{{}}".format
    )
    return make_region(key_mangler=mangler).configure(
        f"dogpile.cache.{backend}", LIFETIME, arguments=arguments
    )


def memory(place: Place, make: Maker) -> Call:
    """In a dictionary."""
    return decorated(configured(place, "memory"), make)


def dbm_file(place: Place, make: Maker) -> Call:
    """In a dbm file."""
    return decorated(configured(place, "dbm", filename=f"{place.folder}/dbm"), make)


def redis(place: Place, make: Maker) -> Call:
    """In Redis."""
    return decorated(configured(place, "redis", url=place.url), make)


def sentinel(place: Place, make: Maker) -> Call:
    """In a Redis that sentinels know."""
    sentinels = [tuple(one.split(":")) for one in place.known["sentinels"]]
    known = {**place.known, "sentinels": sentinels}
    return decorated(configured(place, "redis_sentinel", **known), make)


def memcached(place: Place, make: Maker) -> Call:
    """In memcached, by pymemcache."""
    return decorated(configured(place, "pymemcache", url=[place.url]), make)


def many_memory(place: Place, make: Maker) -> Call:
    """Many in a dictionary."""
    return got(configured(place, "memory"))


def many_redis(place: Place, make: Maker) -> Call:
    """Many in Redis."""
    return got(configured(place, "redis", url=place.url))


def many_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached."""
    return got(configured(place, "pymemcache", url=[place.url]))


def listed_memory(place: Place, make: Maker) -> Call:
    """Many in a dictionary, by a decorator."""
    return listed(configured(place, "memory"))


def listed_redis(place: Place, make: Maker) -> Call:
    """Many in Redis, by a decorator."""
    return listed(configured(place, "redis", url=place.url))


def listed_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached, by a decorator."""
    return listed(configured(place, "pymemcache", url=[place.url]))
