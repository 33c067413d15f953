"""Our words in dogpile.cache's, where its own code or hooks are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from dogpile.cache.api import CachedValue
from dogpile.cache.region import value_version

from holdover.regions.calls import Call
from holdover.regions.envelope import Entry
from holdover.regions.errors import ConfigurationError
from holdover.regions.lifetime import Lifetime
from holdover.regions.returned import Cached


def for_dogpile(lifetime: Lifetime) -> float:
    """An expiration time in dogpile.cache's words, where -1 means never."""
    return -1 if lifetime.expiration_time is None else lifetime.expiration_time


def cached_value(entry: Entry) -> CachedValue:
    """Give an entry as dogpile.cache's own."""
    return CachedValue(entry.value, {"ct": entry.created_at, "v": value_version})


def plain_value(value: Any) -> Any:
    """Take a `Cached` apart, where its rules could not be kept.

    Raises:
        ConfigurationError: It has any.
    """
    if not isinstance(value, Cached):
        return value
    if value.tags or value.lifetime(Lifetime()) is not None:
        raise ConfigurationError(
            "Cached(...) with tags or a lifetime needs a backend of Holdover; those of "
            "dogpile.cache cannot keep them"
        )
    return value.value


class PlainCreation:
    """A call's creator and its condition for storing, as dogpile.cache takes them."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._to_be_stored = True

    def create(self) -> Any:
        """Make the value."""
        returned = self._call.create()
        self._to_be_stored = not isinstance(returned, Cached) or returned.store
        return plain_value(returned)

    def should_cache(self, value: Any) -> bool:
        """Say whether it is to be stored."""
        asked = self._call.should_cache
        return self._to_be_stored and (asked is None or bool(asked(value)))


def generate(
    generator: Callable[..., Any],
    namespace: str | None,
    function: Callable[..., Any],
    to_str: Callable[[Any], str],
) -> Callable[..., str]:
    """Apply a key generator in the way that dogpile.cache does."""
    if to_str is str:
        made = generator(namespace, function)
    else:
        made = generator(namespace, function, to_str)
    return cast("Callable[..., str]", made)
