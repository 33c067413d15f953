"""Holdover: a region's decorated functions, many keys, and the WSGI object cache."""

from __future__ import annotations

from typing import Any

from holdover import Region, make_region
from peers.regions import decorated, got, listed
from peers.subject import LIFETIME, Call, Maker, Place

# On a busy machine even an answer from next door may take longer than the usual 0.25 s,
# after which a caller is given a new value: that would be no hit.
PATIENCE = {"socket_timeout": 30.0, "socket_connect_timeout": 30.0}


def configured(place: Place, backend: str, near: float = 0, **arguments: Any) -> Region:
    """Give a region that trusts its store, as all peers do."""
    return make_region(place.name).configure(
        f"holdover.{backend}",
        LIFETIME,
        arguments,
        unsigned_pickle=True,
        **({"near_ttl": near} if near else {}),
    )


def memory(place: Place, make: Maker) -> Call:
    """In this process."""
    return decorated(configured(place, "memory"), make)


def file(place: Place, make: Maker) -> Call:
    """In files."""
    return decorated(configured(place, "file", path=place.folder), make)


def near_file(place: Place, make: Maker) -> Call:
    """In files, and near."""
    return decorated(configured(place, "file", LIFETIME, path=place.folder), make)


def near_redis(place: Place, make: Maker) -> Call:
    """In Redis, and near."""
    return decorated(
        configured(place, "redis", LIFETIME, url=place.url, **PATIENCE), make
    )


def dbm_file(place: Place, make: Maker) -> Call:
    """In a dbm file."""
    return decorated(configured(place, "dbm", filename=f"{place.folder}/dbm"), make)


def sqlite(place: Place, make: Maker) -> Call:
    """In SQLite."""
    url = f"sqlite:///{place.folder}/holdover.db"
    return decorated(configured(place, "sql", url=url), make)


def database(place: Place, make: Maker) -> Call:
    """In PostgreSQL or MariaDB."""
    region = configured(place, "sql", url=place.url, create_table=True)
    return decorated(region, make)


def redis(place: Place, make: Maker) -> Call:
    """In Redis."""
    return decorated(configured(place, "redis", url=place.url, **PATIENCE), make)


def cluster(place: Place, make: Maker) -> Call:
    """In a Redis Cluster."""
    return decorated(
        configured(place, "redis_cluster", **place.known, **PATIENCE), make
    )


def sentinel(place: Place, make: Maker) -> Call:
    """In a Redis that sentinels know."""
    return decorated(
        configured(place, "redis_sentinel", **place.known, **PATIENCE), make
    )


def memcached(place: Place, make: Maker) -> Call:
    """In memcached."""
    return decorated(configured(place, "memcached", url=place.url, **PATIENCE), make)


def many_memory(place: Place, make: Maker) -> Call:
    """Many in this process."""
    return got(configured(place, "memory"))


def many_redis(place: Place, make: Maker) -> Call:
    """Many in Redis."""
    return got(configured(place, "redis", url=place.url, **PATIENCE))


def many_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached."""
    return got(configured(place, "memcached", url=place.url, **PATIENCE))


def listed_memory(place: Place, make: Maker) -> Call:
    """Many in this process, by a decorator."""
    return listed(configured(place, "memory"))


def listed_redis(place: Place, make: Maker) -> Call:
    """Many in Redis, by a decorator."""
    return listed(configured(place, "redis", url=place.url, **PATIENCE))


def listed_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached, by a decorator."""
    return listed(configured(place, "memcached", url=place.url, **PATIENCE))
