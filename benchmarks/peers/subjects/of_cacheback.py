"""django-cacheback's decorator, over a cache of Django's."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peers.subject import LIFETIME, Call, Maker, Place, hit
from peers.subjects import django_places

makers: list[Maker] = []


def price(article: int, shop: int, name: str = "x") -> Any:
    """Be found by module and name, as a decorated function must be."""
    return makers[-1]()


def decorated(make: Maker) -> Call:
    """Give a hit of a decorated function."""
    makers.append(make)
    # It reads Django's settings when it is imported.
    cacheback = import_module("cacheback.decorators").cacheback
    return hit(cacheback(lifetime=LIFETIME)(price))


def memory(place: Place, make: Maker) -> Call:
    """In this process."""
    django_places.memory(place)
    return decorated(make)


def file(place: Place, make: Maker) -> Call:
    """In files."""
    django_places.file(place)
    return decorated(make)


def sqlite(place: Place, make: Maker) -> Call:
    """In a table of SQLite."""
    django_places.sqlite(place)
    return decorated(make)


def postgres(place: Place, make: Maker) -> Call:
    """In a table of PostgreSQL."""
    django_places.postgres(place)
    return decorated(make)


def redis(place: Place, make: Maker) -> Call:
    """In Redis, as Django does it."""
    django_places.redis(place)
    return decorated(make)


def django_redis(place: Place, make: Maker) -> Call:
    """In Redis, as django-redis does it."""
    django_places.django_redis(place)
    return decorated(make)


def memcached(place: Place, make: Maker) -> Call:
    """In memcached."""
    django_places.memcached(place)
    return decorated(make)
