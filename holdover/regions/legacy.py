"""Our words in dogpile.cache's, where its own code or hooks are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from dogpile.cache.api import CachedValue
from dogpile.cache.region import value_version

from holdover.regions.envelope import Entry
from holdover.regions.lifetime import Lifetime


def for_dogpile(lifetime: Lifetime) -> float:
    """An expiration time in dogpile.cache's words, where -1 means never."""
    return -1 if lifetime.expiration_time is None else lifetime.expiration_time


def cached_value(entry: Entry) -> CachedValue:
    """Give an entry as dogpile.cache's own."""
    return CachedValue(entry.value, {"ct": entry.created_at, "v": value_version})


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
