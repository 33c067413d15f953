"""The regions behind the caches of this process.

Django makes a cache object per thread, and per request under ASGI; what they stand on
is made once and kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from holdover import Region, errors, make_region, registry
from holdover.contrib_django.location import Location

REGION_NAME = "django"

_RULES = frozenset({"codec", "lease", "on_timeout"})
_SAID_ELSEWHERE = {
    "path": "LOCATION",
    "expiration_time": "TIMEOUT",
    "keep_for": "TIMEOUT",
}
# Both grow by setdefault() alone, which needs no lock: of two threads that make the
# same thing at once, one throws his away.
_backends: dict[Location, tuple[Hashable, Any]] = {}
_regions: dict[Hashable, Region] = {}


def region_for(
    location: Location, key_prefix: str, options: Mapping[str, Any]
) -> Region:
    """Give the region for a cache, the same one for the same settings.

    Caches at one location share their entries if they have the same *key_prefix*.
    Those with another one are parted, so that clearing one spares the other.

    Args:
        location: Where its entries are kept.
        key_prefix: The cache's KEY_PREFIX.
        options: Its OPTIONS: rules for the region ("codec", "lease", "on_timeout"),
            MAX_ENTRIES, and the backend's own arguments, "max_bytes" for example.

    Raises:
        ImproperlyConfigured: An option is unknown or wrong, or contradicts those of
            another cache at the same location.
    """
    # How much a full store drops at once: ours drop no more than they must.
    given = {name: held for name, held in options.items() if name != "CULL_FREQUENCY"}
    if location.scheme == "region":
        return _configured_by_user(location, given)
    key = (location, key_prefix, _frozen(given))
    region = _regions.get(key)
    if region is None:
        region = _regions.setdefault(key, _made(location, key_prefix, given))
    return region


def _configured_by_user(location: Location, options: Mapping[str, Any]) -> Region:
    if options:
        raise ImproperlyConfigured(
            f"{location} is configured where the region is, so these OPTIONS have no "
            f"effect: {', '.join(options)}"
        )
    return registry.region(location.name)


def _made(location: Location, key_prefix: str, options: Mapping[str, Any]) -> Region:
    for name in options:
        if name in _SAID_ELSEWHERE:
            where = _SAID_ELSEWHERE[name]
            raise ImproperlyConfigured(
                f"{location}: not {name!r} in OPTIONS but {where} says this"
            )
    rules = {name: held for name, held in options.items() if name in _RULES}
    arguments = {
        "max_entries" if name == "MAX_ENTRIES" else name: held
        for name, held in options.items()
        if name not in _RULES
    }
    name = f"{REGION_NAME}.{key_prefix}" if key_prefix else REGION_NAME
    try:
        return _configured(name, _backend(location, arguments), arguments, rules)
    except errors.ConfigurationError as error:
        raise ImproperlyConfigured(
            f"{location}: {error} OPTIONS of the region itself: "
            f"{', '.join(sorted(_RULES))}"
        ) from error


def _configured(
    name: str, backend: Any, arguments: Mapping[str, Any], rules: Mapping[str, Any]
) -> Region:
    # A test's clock is for both, the backend and the region.
    clock = {name: held for name, held in arguments.items() if name == "time_source"}
    # Django's users get copies of what they stored, from memory too.
    return make_region(name, **clock).configure(backend, **{"codec": "pickle", **rules})


def _backend(location: Location, arguments: Mapping[str, Any]) -> Any:
    """Give the backend at *location*, the same one for all caches there."""
    wanted = _frozen(arguments)
    kept = _backends.get(location)
    if kept is None:
        place = {"path": location.name} if location.scheme == "file" else {}
        made = make_region().configure(
            f"holdover.{location.scheme}", arguments={**arguments, **place}
        )
        kept = _backends.setdefault(location, (wanted, made.backend))
    if kept[0] != wanted:
        raise ImproperlyConfigured(
            f"{location} is in use with other OPTIONS by another cache, and has one "
            "size for all: give both the same, or each a location of its own"
        )
    return kept[1]


def _frozen(value: Any) -> Hashable:
    """Make a key of settings."""
    if isinstance(value, Mapping):
        return frozenset((name, _frozen(held)) for name, held in value.items())
    # An object without a hash counts as itself only. Its id is not used again, since
    # whatever is made of the settings keeps it.
    return value if isinstance(value, Hashable) else id(value)
