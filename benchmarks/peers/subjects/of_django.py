"""Django's cache API, with a key made by hand, on its own backends and django-redis."""

from __future__ import annotations

from django.core.cache import cache

from peers.subject import KEYS, LIFETIME, VALUE, Call, Maker, Place, hit
from peers.subjects import django_places


def asked(make: Maker) -> Call:
    """Give a hit of a function that asks the cache."""
    return hit(
        make.kept_by(cache.get, lambda key, value: cache.set(key, value, LIFETIME))
    )


def got() -> Call:
    """Give ``get_many()`` of all keys."""
    cache.set_many(dict.fromkeys(KEYS, VALUE), LIFETIME)
    return lambda: cache.get_many(KEYS)


def memory(place: Place, make: Maker) -> Call:
    """In this process."""
    django_places.memory(place)
    return asked(make)


def file(place: Place, make: Maker) -> Call:
    """In files."""
    django_places.file(place)
    return asked(make)


def sqlite(place: Place, make: Maker) -> Call:
    """In a table of SQLite."""
    django_places.sqlite(place)
    return asked(make)


def postgres(place: Place, make: Maker) -> Call:
    """In a table of PostgreSQL."""
    django_places.postgres(place)
    return asked(make)


def redis(place: Place, make: Maker) -> Call:
    """In Redis, as Django does it."""
    django_places.redis(place)
    return asked(make)


def django_redis(place: Place, make: Maker) -> Call:
    """In Redis, as django-redis does it."""
    django_places.django_redis(place)
    return asked(make)


def memcached(place: Place, make: Maker) -> Call:
    """In memcached."""
    django_places.memcached(place)
    return asked(make)


def many_memory(place: Place, make: Maker) -> Call:
    """Many in this process."""
    django_places.memory(place)
    return got()


def many_redis(place: Place, make: Maker) -> Call:
    """Many in Redis, as Django does it."""
    django_places.redis(place)
    return got()


def many_django_redis(place: Place, make: Maker) -> Call:
    """Many in Redis, as django-redis does it."""
    django_places.django_redis(place)
    return got()


def many_memcached(place: Place, make: Maker) -> Call:
    """Many in memcached."""
    django_places.memcached(place)
    return got()
