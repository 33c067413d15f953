"""What a cache's entry in CACHES may say besides LOCATION, checked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django.core.cache.backends.base import get_key_func
from django.core.exceptions import ImproperlyConfigured

from holdover.contrib_django.caches.location import Location
from holdover.contrib_django.project.secrets import secrets_of_django
from holdover.regions.errors import unknown
from holdover.regions.numbers import is_number

RULES = frozenset(
    {
        "codec",
        "compress",
        "creator_timeout",
        "figures_every",
        "lease",
        "most_unleased_creators",
        "near_entries",
        "near_ttl",
        "on_timeout",
        "runner",
        "schema",
        "secret",
        "unsigned_pickle",
    }
)
"""The options of the region itself; all others are the backend's."""

# Django's own names, those that it has had, and what its CacheHandler leaves in place.
_BESIDE = frozenset(
    {
        "KEY_FUNCTION",
        "KEY_PREFIX",
        "OPTIONS",
        "TIMEOUT",
        "VERSION",
        "cull_frequency",
        "max_entries",
        "timeout",
    }
)
_SAID_ELSEWHERE = MappingProxyType(
    {
        "engine": "LOCATION",
        "expiration_time": "TIMEOUT",
        "filename": "LOCATION",
        "keep_for": "TIMEOUT",
        "key_function": "KEY_FUNCTION beside OPTIONS",
        "key_prefix": "KEY_PREFIX beside OPTIONS",
        "path": "LOCATION",
        "service_name": "LOCATION",
        "timeout": "TIMEOUT",
        "url": "LOCATION",
        "version": "VERSION beside OPTIONS",
    }
)
_TIMEOUT = 300.0  # seconds; Django's own default
REGION_NAME = "django"  # of regions that no NAME tells from others
# There is nobody else who could write there.
_UNSIGNED = frozenset({"memory", "null"})
# Of the server, as with Django's own backends; or nothing is kept at all.
_BOUNDED_BY_SERVER = frozenset({"null", "memcached", "redis", "rediss", "unix"})
_SERVER_FAMILIES = ("redis-", "valkey")


@dataclass(frozen=True, slots=True)
class Options:
    """What OPTIONS say.

    Attributes:
        name: What workers and figures know the region by.
        rules: Settings for the region.
        arguments: The backend's own.
    """

    name: str
    rules: Mapping[str, Any] = field(repr=False)  # there may be a secret
    arguments: Mapping[str, Any] = field(repr=False)

    def frozen(self) -> Hashable:
        """Give what tells them from others."""
        return self.name, frozen(self.rules), frozen(self.arguments)


def read_options(location: Location, params: Mapping[str, Any]) -> Options:
    """Read a cache's OPTIONS, with names in capitals or without.

    Args:
        location: Where it keeps its entries.
        params: All of its entry in CACHES but BACKEND and LOCATION.

    Raises:
        ImproperlyConfigured: A name is unknown or stands there twice, or belongs
            elsewhere.
    """
    for name in params:
        if name not in _BESIDE:
            raise ImproperlyConfigured(
                f"CACHES: {unknown('setting of a cache', name, _BESIDE)}"
            )
    given = _lowered(location, params.get("OPTIONS") or {})
    given.pop("cull_frequency", None)  # a full store drops no more than it must
    if location.scheme == "region":
        _refuse_all(location, given)
        return Options("", {}, {})
    for name in given.keys() & _SAID_ELSEWHERE.keys():
        raise ImproperlyConfigured(
            f"{location}: not {name!r} in OPTIONS but {_SAID_ELSEWHERE[name]} says this"
        )
    if "max_entries" in given and location.scheme != "memory":
        _refuse_bound(location)
        del given["max_entries"]
    name = _name(given.pop("name", REGION_NAME))
    rules = {name: held for name, held in given.items() if name in RULES}
    arguments = {name: held for name, held in given.items() if name not in RULES}
    return Options(name, _with_defaults(location, rules), arguments)


def check_params(params: Mapping[str, Any]) -> None:
    """Refuse what Django would not understand, or would not notice.

    Args:
        params: The cache's settings.

    Raises:
        ImproperlyConfigured: It says what was wanted.
    """
    options = params.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        raise _unfit("OPTIONS", "a dict", options)
    for name in options:
        if not isinstance(name, str):
            raise _unfit("a name in OPTIONS", "a text", name)
    if not isinstance(params.get("KEY_PREFIX", ""), str):
        raise _unfit("KEY_PREFIX", "a text", params["KEY_PREFIX"])
    if not isinstance(params.get("VERSION", 1), int | str):
        raise _unfit("VERSION", "a number", params["VERSION"])
    given = params.get("KEY_FUNCTION")
    try:
        get_key_func(given)
    except (AttributeError, ImportError) as error:
        raise _unfit("KEY_FUNCTION", "a function, or its path", given) from error
    for name in ("CULL_FREQUENCY", "MAX_ENTRIES"):
        if isinstance(options.get(name), float):  # Django fails at the infinite one
            raise _unfit(name, "a whole number", options[name])
    read_timeout(params)


def read_timeout(params: Mapping[str, Any]) -> float | None:
    """Read TIMEOUT, in seconds; None means never.

    Args:
        params: The cache's settings.

    Raises:
        ImproperlyConfigured: It is no number. Django would take its default instead.
    """
    given = params.get("timeout", params.get("TIMEOUT", _TIMEOUT))
    if isinstance(given, timedelta):
        return given.total_seconds()
    if isinstance(given, str):  # as environment variables bring it
        given = _number(given)
    if given is not None and not is_number(given):
        raise _unfit("TIMEOUT", "a number of seconds, a timedelta or None", given)
    return given


def frozen(value: Any) -> Hashable:
    """Make a key of settings."""
    if isinstance(value, Mapping):
        return frozenset((name, frozen(held)) for name, held in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    # An object without a hash counts as itself only. Its id is not used again, since
    # whatever is made of the settings keeps it.
    return value if isinstance(value, Hashable) else id(value)


# -- small steps ---------------------------------------------------------------


def _lowered(location: Location, options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, held in options.items():
        # Parts of the backend's arguments may have capitals in their names.
        plain = name.lower() if name.isupper() else name
        if plain in found:
            raise ImproperlyConfigured(f"{location}: OPTIONS say {plain!r} twice")
        found[plain] = held
    return found


def _refuse_all(location: Location, given: Mapping[str, Any]) -> None:
    if given:
        raise ImproperlyConfigured(
            f"{location} is configured where the region is, so these OPTIONS have no "
            f"effect: {', '.join(given)}"
        )


def _refuse_bound(location: Location) -> None:
    """Refuse MAX_ENTRIES where Django's own backend heeds it, and ours cannot."""
    scheme = location.scheme
    if scheme in _BOUNDED_BY_SERVER or scheme.startswith(_SERVER_FAMILIES):
        return
    instead = {
        "file": "the size of files is bounded by 'max_bytes' (bytes)",
    }.get(scheme, "expired entries are removed, and there is no other bound")
    raise ImproperlyConfigured(f"{location} takes no MAX_ENTRIES: {instead}")


def _name(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise _unfit("NAME in OPTIONS", "a text", given)
    return given


def _unfit(name: str, wanted: str, given: object) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} must be {wanted}, got {given!r:.80}")


def _with_defaults(location: Location, rules: Mapping[str, Any]) -> dict[str, Any]:
    # Django's users get copies of what they stored, from memory too.
    # What has grown stale, such as pages, is not made anew in a visitor's turn.
    found = {"codec": "pickle", "runner": "thread", **rules}
    if location.scheme not in _UNSIGNED and "secret" not in rules:
        found["secret"] = secrets_of_django()
    return found


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
