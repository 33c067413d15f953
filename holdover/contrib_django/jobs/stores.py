"""Regions over caches that are not Holdover's."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core.cache import caches

from holdover import KeyedBackend, Region, make_region
from holdover.contrib_django.project.secrets import secrets_of_django

_REACH = {
    "DummyCache": "process",
    "LocMemCache": "process",
    "FileBasedCache": "host",
}


class _Cache:
    """The cache of an alias, whichever this thread has."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __getattr__(self, name: str) -> Any:
        return getattr(caches[self._alias], name)


@cache
def region_over(alias: str) -> Region:
    """Give a region whose values are entries of the cache *alias*.

    They are signed by SECRET_KEY. What is promised is what `KeyedBackend` can.
    """
    kinds = {kind.__name__ for kind in type(caches[alias]).__mro__}
    shared_by = next((_REACH[kind] for kind in kinds & _REACH.keys()), "fleet")
    backend = KeyedBackend({"store": _Cache(alias), "shared_by": shared_by})
    return make_region(f"django.jobs.{alias}").configure(
        backend,
        codec="pickle",
        secret=secrets_of_django(),
    )
