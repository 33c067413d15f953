"""The regions that a project has: those of its registry and those of its caches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from holdover import Region
from holdover.contrib_django.caches.cache import RegionCache
from holdover.contrib_django.project.configuring import project_registry


@dataclass(frozen=True, slots=True)
class KnownRegion:
    """A region, under a name that no other one of the project has.

    Attributes:
        label: Its name in the project's registry, or "CACHES" with its first alias.
        region: The region.
        aliases: The aliases in CACHES of all caches that keep their entries in it.
    """

    label: str
    region: Region
    aliases: tuple[str, ...] = ()

    @property
    def shared_by(self) -> str:
        """Who sees the same entries: "process", "host", "fleet"; "" if nobody knows."""
        if not self.region.is_configured:
            return ""
        capabilities = getattr(self.region.actual_backend, "capabilities", None)
        return getattr(capabilities, "shared_by", "")


def known_regions() -> list[KnownRegion]:
    """Give the regions of the project's registry and of CACHES, each of them once.

    Raises:
        ImproperlyConfigured: An entry of CACHES is wrong, or HOLDOVER is.
    """
    behind: dict[Region, list[str]] = {}
    for alias, cache in region_caches():
        behind.setdefault(cache.region, []).append(alias)
    registry = project_registry()
    named = {registry.region(name): name for name in registry}
    labels = {one: f"CACHES[{aliases[0]!r}]" for one, aliases in behind.items()}
    return [
        KnownRegion(label, region, tuple(behind.get(region, ())))
        for region, label in {**labels, **named}.items()
    ]


def region_caches() -> Iterator[tuple[str, RegionCache]]:
    """Give alias and cache of each entry of CACHES that is a `RegionCache`.

    Raises:
        ImproperlyConfigured: One of them is wrong.
    """
    for alias, _ in entries_of_ours():
        yield alias, region_cache(alias)


def entries_of_ours() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the same entries with what they say, and make no cache for it.

    Raises:
        ImproperlyConfigured: A BACKEND cannot be imported.
    """
    for alias, params in settings.CACHES.items():
        try:
            kind = import_string(params["BACKEND"])
        except ImportError as error:
            raise ImproperlyConfigured(f"CACHES[{alias!r}]: {error}") from error
        if isinstance(kind, type) and issubclass(kind, RegionCache):
            yield alias, params


def region_cache(alias: str) -> RegionCache:
    """Give an entry of CACHES that has to be a `RegionCache`.

    Raises:
        ImproperlyConfigured: It is a cache of another kind, or wrong.
        InvalidCacheBackendError: There is none of that alias.
    """
    cache = caches[alias]
    if not isinstance(cache, RegionCache):
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] must be a holdover.contrib_django.RegionCache for "
            f"this, and is a {type(cache).__name__}"
        )
    return cache


def region_named(name: str) -> Region:
    """Give a region of the project's registry, by its name there.

    Raises:
        ImproperlyConfigured: HOLDOVER is wrong.
    """
    return project_registry().region(name)
