"""Beaker: functions that a cache manager has decorated."""

from __future__ import annotations

from typing import Any

from beaker.cache import CacheManager
from beaker.util import parse_cache_config_options

from peers.subject import LIFETIME, Call, Maker, Place, hit


def decorated(place: Place, make: Maker, **options: Any) -> Call:
    """Give a hit of a decorated function."""
    given = {f"cache.{name}": value for name, value in options.items()}
    manager = CacheManager(**parse_cache_config_options(given))
    return hit(manager.cache(place.name, expire=LIFETIME)(make.price))


def memory(place: Place, make: Maker) -> Call:
    """In a dictionary."""
    return decorated(place, make, type="memory")


def file(place: Place, make: Maker) -> Call:
    """In a file per namespace."""
    return decorated(place, make, type="file", data_dir=place.folder)


def dbm_file(place: Place, make: Maker) -> Call:
    """In a dbm file."""
    return decorated(place, make, type="dbm", data_dir=place.folder)


def sqlite(place: Place, make: Maker) -> Call:
    """In SQLite, which is read once per process."""
    url = f"sqlite:///{place.folder}/beaker.db"
    return decorated(place, make, type="ext:database", url=url, data_dir=place.folder)


def postgres(place: Place, make: Maker) -> Call:
    """In PostgreSQL, which is read once per process."""
    url = place.url.replace("postgresql:", "postgresql+psycopg:")
    return decorated(place, make, type="ext:database", url=url, data_dir=place.folder)


def redis(place: Place, make: Maker) -> Call:
    """In Redis."""
    return decorated(place, make, type="ext:redis", url=place.url)


def memcached(place: Place, make: Maker) -> Call:
    """In memcached, by a client that can still be installed."""
    return decorated(
        place,
        make,
        type="ext:memcached",
        url=place.url,
        memcache_module="bmemcached",
        lock_dir=place.folder,
    )
