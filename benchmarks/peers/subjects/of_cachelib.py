"""cachelib, with a key made by hand."""

from __future__ import annotations

from urllib.parse import urlsplit

from cachelib import FileSystemCache, MemcachedCache, RedisCache, SimpleCache
from cachelib.base import BaseCache

from peers.subject import KEYS, LIFETIME, VALUE, Call, Maker, Place, hit


def asked(cache: BaseCache, make: Maker) -> Call:
    """Give a hit of a function that asks a cache."""
    return hit(make.kept_by(cache.get, cache.set))


def got(cache: BaseCache) -> Call:
    """Give ``get_many()`` of all keys."""
    cache.set_many(dict.fromkeys(KEYS, VALUE))
    return lambda: cache.get_many(*KEYS)


def of_redis(place: Place) -> BaseCache:
    """Give a cache in Redis."""
    server = urlsplit(place.url)
    return RedisCache(server.hostname, server.port, None, 0, LIFETIME, place.name)


def of_memcached(place: Place) -> BaseCache:
    """Give a cache in memcached, by pylibmc."""
    return MemcachedCache([place.url], LIFETIME, place.name)


def memory(place: Place, make: Maker) -> Call:
    """In this process."""
    return asked(SimpleCache(default_timeout=LIFETIME), make)


def file(place: Place, make: Maker) -> Call:
    """In files."""
    return asked(FileSystemCache(place.folder, default_timeout=LIFETIME), make)


def redis(place: Place, make: Maker) -> Call:
    """In Redis."""
    return asked(of_redis(place), make)


def memcached(place: Place, make: Maker) -> Call:
    """In memcached."""
    return asked(of_memcached(place), make)


def many_memory(place: Place, make: Maker) -> Call:
    """Many in this process."""
    return got(SimpleCache(default_timeout=LIFETIME))


def many_redis(place: Place, make: Maker) -> Call:
    """Many in Redis."""
    return got(of_redis(place))


def many_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached."""
    return got(of_memcached(place))
