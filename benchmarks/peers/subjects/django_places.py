"""Django's settings, with one cache, and a database if that needs one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command

from peers.subject import Place

BACKENDS = "django.core.cache.backends"


def set_up(place: Place, backend: str, location: str = "", **database: Any) -> None:
    """Set Django up with a default cache, and make the table if that needs one."""
    settings.configure(
        CACHES={
            "default": {
                "BACKEND": backend,
                "LOCATION": location,
                "KEY_PREFIX": place.name,
            }
        },
        DATABASES={"default": database} if database else {},
        RQ_QUEUES={"default": {}},  # django-cacheback asks for it when it is imported
    )
    django.setup()
    if database:
        call_command("createcachetable", verbosity=0)


def memory(place: Place) -> None:
    """In this process."""
    set_up(place, f"{BACKENDS}.locmem.LocMemCache", place.name)


def file(place: Place) -> None:
    """In files."""
    set_up(place, f"{BACKENDS}.filebased.FileBasedCache", place.folder)


def sqlite(place: Place) -> None:
    """In a table of SQLite."""
    kind, name = "django.db.backends.sqlite3", f"{place.folder}/django.db"
    backend = f"{BACKENDS}.db.DatabaseCache"
    set_up(place, backend, place.name, ENGINE=kind, NAME=name)


def postgres(place: Place) -> None:
    """In a table of PostgreSQL, by a connection that is kept."""
    server = urlsplit(place.url)
    set_up(
        place,
        f"{BACKENDS}.db.DatabaseCache",
        place.name,
        ENGINE="django.db.backends.postgresql",
        NAME=server.path.removeprefix("/"),
        HOST=server.hostname,
        PORT=server.port,
        USER=server.username,
    )


def redis(place: Place) -> None:
    """In Redis, as Django does it."""
    set_up(place, f"{BACKENDS}.redis.RedisCache", place.url)


def django_redis(place: Place) -> None:
    """In Redis, as django-redis does it."""
    set_up(place, "django_redis.cache.RedisCache", place.url)


def memcached(place: Place) -> None:
    """In memcached, by pymemcache."""
    set_up(place, f"{BACKENDS}.memcached.PyMemcacheCache", place.url)
