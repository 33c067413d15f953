"""The regions behind the caches of this process.

Django makes a cache object per thread, and per request under ASGI; what they stand on
is made once and kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from holdover import Region, errors, make_region
from holdover.contrib_django.caches.location import Location, memory
from holdover.contrib_django.caches.options import RULES, Options, frozen, read_options
from holdover.contrib_django.project.configuring import project_registry

# Stores that this process or this host has only once, with one size for all caches.
_SIZED = frozenset({"dbm", "file", "memory"})
# Their backends go by a clock of this process, not by the server's.
_CLOCKED = frozenset({"dbm", "file", "memcached", "memory"})
# All grow by setdefault() alone, which needs no lock: of two threads that make the
# same thing at once, one throws his away.
_backends: dict[Hashable, tuple[Hashable, Any]] = {}
_regions: dict[Hashable, Region] = {}
_plain_names: dict[str, Location] = {}


def region_for(
    location: Location, key_prefix: str, params: Mapping[str, Any]
) -> Region:
    """Give the region for a cache, the same one for the same settings.

    Caches at one location share their entries if they have the same *key_prefix*.
    Those with another one are parted, so that clearing one spares the other.

    Args:
        location: Where its entries are kept.
        key_prefix: The cache's KEY_PREFIX.
        params: All of its settings but BACKEND and LOCATION.

    Raises:
        ImproperlyConfigured: An option is unknown or wrong, or contradicts those of
            another cache at the same location.
    """
    location = _settled(location)
    options = read_options(location, params)
    if location.scheme == "region":
        return project_registry().region(location.name)
    key = (location, _place(location), key_prefix, options.frozen())
    region = _regions.get(key)
    if region is None:
        region = _regions.setdefault(key, _made(location, key_prefix, options))
    return region


def chooses_runners(location: Location, params: Mapping[str, Any]) -> bool:
    """Say whether a cache's runners are the project's choice, and not the default."""
    options = params.get("OPTIONS") or {}
    is_region = location.scheme == "region" or _names_region(location)
    return is_region or any(str(name).lower() == "runner" for name in options)


def new_backend(location: Location, arguments: Mapping[str, Any]) -> Any:
    """Make a backend that no cache uses, at a place that is no region's.

    Raises:
        ConfigurationError: The place or an argument is wrong.
        ImproperlyConfigured: Django's settings are.
    """
    given = {**arguments, **dict(location.arguments)}
    if location.scheme == "django-db":
        given |= _database().arguments_for(_alias(location), arguments)
    _refuse_rules_in_url(location)
    # Unsigned pickles: this region is asked for nothing but its backend.
    region = make_region().configure(
        location.backend, arguments=given, unsigned_pickle=True
    )
    return region.backend


# -- places --------------------------------------------------------------------


def _settled(location: Location) -> Location:
    """Tell what a plain name means, and stay with that.

    Raises:
        ImproperlyConfigured: It has become a region's while it was in use as a store's.
    """
    if location.scheme == "django-db" and _database().is_in_memory(_alias(location)):
        # A database that no other process sees; nor would another connection.
        return memory(str(location))
    if location.scheme:
        return location
    is_region = _names_region(location)
    meant = Location("region", location.name) if is_region else memory(location.name)
    settled = _plain_names.setdefault(location.name, meant)
    if is_region and settled != meant:
        raise ImproperlyConfigured(
            f"LOCATION {location.name!r} was used as a store in memory before there "
            f"was a region of that name: write 'region://{location.name}' or "
            f"'memory://{location.name}'"
        )
    return settled


def _names_region(location: Location) -> bool:
    is_plain = not location.scheme and bool(location.name)
    return is_plain and location.name in project_registry()


def _place(location: Location) -> Hashable:
    """Tell a test's database from that which stands in its place otherwise."""
    if location.scheme != "django-db":
        return None
    return frozen(_database().place_of(_alias(location)))


def _alias(location: Location) -> str:
    return location.name.partition("/")[0]


def _database() -> Any:
    try:
        return import_module("holdover.contrib_django.caches.database")
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            f"django-db:// needs {error.name!r}: pip install 'holdover[sql]'"
        ) from error


def _refuse_rules_in_url(location: Location) -> None:
    _, _, query = location.backend.partition("?")
    for parameter in query.split("&"):
        name = parameter.partition("=")[0]
        if name.partition(".")[0] in {*RULES, "expiration_time", "keep_for"}:
            raise errors.ConfigurationError(f"{name!r} belongs in OPTIONS")


# -- making --------------------------------------------------------------------


def _made(location: Location, key_prefix: str, options: Options) -> Region:
    name = f"{options.name}.{key_prefix}" if key_prefix else options.name
    try:
        return _configured(name, _backend(location, options.arguments), options)
    except errors.ConfigurationError as error:
        raise ImproperlyConfigured(
            f"{location}: {str(error).rstrip('.')}. OPTIONS of the region itself: "
            f"{', '.join(sorted({'name', *RULES}))}"
        ) from error


def _configured(name: str, backend: Any, options: Options) -> Region:
    # A test's clock is for both, the backend and the region.
    clock = {
        name: held for name, held in options.arguments.items() if name == "time_source"
    }
    return make_region(name, **clock).configure(backend, **options.rules)


def _backend(location: Location, arguments: Mapping[str, Any]) -> Any:
    """Give the backend at *location*, the same one for all caches there."""
    if location.scheme not in _CLOCKED:
        arguments = {k: v for k, v in arguments.items() if k != "time_source"}
    wanted = frozen(arguments)
    place: Hashable = (location, _place(location))
    if location.scheme not in _SIZED:
        place = (place, wanted)
    kept = _backends.get(place)
    if kept is None:
        if location.is_in_database:
            # Every command of Django's makes all caches, that which makes tables too.
            arguments = {**arguments, "check_table": False}
        made = new_backend(location, arguments)
        kept = _backends.setdefault(place, (wanted, made))
    if kept[0] != wanted:
        raise ImproperlyConfigured(
            f"{location} is in use with other OPTIONS by another cache, and has one "
            "size for all: give both the same, or each a location of its own"
        )
    return kept[1]
