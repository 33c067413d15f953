"""Our words in dogpile.cache's, where its own code or hooks are called."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from dogpile.cache.api import CachedValue
from dogpile.cache.region import DefaultInvalidationStrategy, value_version

from holdover.regions import events
from holdover.regions.calls import Call
from holdover.regions.encoding import to_bytes
from holdover.regions.envelope import Entry
from holdover.regions.errors import ConfigurationError
from holdover.regions.events import Listeners
from holdover.regions.freshness import Standing
from holdover.regions.lifetime import Lifetime
from holdover.regions.returned import Cached
from holdover.regions.timesource import TimeSource

_AT_ONCE = sys.float_info.min  # seconds
# memcached takes 250 visible ASCII characters, and locks are named "_lock" + key.
_FOR_MEMCACHED = re.compile(r"[!-~]{1,245}")
_DIGEST = "digest:"


def dogpile_span(expiration_time: object) -> object:
    """Read dogpile.cache's expiration time: 0 means at once, -1 and None never."""
    if isinstance(expiration_time, int | float) and expiration_time in (0, -1):
        return _AT_ONCE if expiration_time == 0 else None
    return expiration_time


def for_dogpile(lifetime: Lifetime) -> float:
    """Tell dogpile.cache's ``get_or_create`` an expiration time; -1 means never."""
    return -1 if lifetime.expiration_time is None else lifetime.expiration_time


def for_its_get(lifetime: Lifetime) -> float:
    """Tell dogpile.cache's ``get`` an expiration time; it knows no -1."""
    never = lifetime.expiration_time is None
    return math.inf if never else for_dogpile(lifetime)


def standing_by(strategy: Any) -> Callable[[float], Standing] | None:
    """Give what a strategy of the user's own says of an entry; None without one."""
    if type(strategy) is DefaultInvalidationStrategy:
        return None  # the region clock does what it would do, for all processes

    def standing(created_at: float) -> Standing:
        if strategy.is_hard_invalidated(created_at):
            return Standing.HARD
        if strategy.is_soft_invalidated(created_at):
            return Standing.SOFT
        return Standing.CURRENT

    return standing


def mangler_for(backend: object) -> Callable[[str], str] | None:
    """Make keys safe on dogpile.cache's memcached backends, which do not do it."""
    # Whoever made one has imported it, which we need not.
    memcached = sys.modules.get("dogpile.cache.backends.memcached")
    if memcached is None or not isinstance(backend, memcached.GenericMemcachedBackend):
        return None
    return memcached_key


def memcached_key(key: str) -> str:
    """Leave a key as it is that memcached takes; give a digest of any other."""
    takes = _FOR_MEMCACHED.fullmatch(key) and not key.startswith(_DIGEST)
    if takes:
        return key
    return _DIGEST + hashlib.blake2b(to_bytes(key), digest_size=32).hexdigest()


def cached_value(entry: Entry, *, expired: bool = False) -> CachedValue:
    """Give an entry as dogpile.cache's own, if need be as one that is past any time."""
    created_at = 0.0 if expired else entry.created_at
    return CachedValue(entry.value, {"ct": created_at, "v": value_version})


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


class Told:
    """A creator that is left to dogpile.cache, and of whose runs we tell.

    Args:
        create: The creator.
        region: Name of the region.
        listeners: Whom to tell.
        time_source: The clocks to go by.
        is_lookup: Whether it runs since somebody found no value.
    """

    def __init__(
        self,
        create: Callable[..., Any],
        region: str,
        listeners: Listeners,
        time_source: TimeSource,
        *,
        is_lookup: bool,
    ) -> None:
        self._create = create
        self._region = region
        self._listeners = listeners
        self._now = time_source.steady
        self._is_lookup = is_lookup
        self._keys: set[str] = set()

    def __call__(self, keys: Sequence[str], *args: Any) -> Any:
        """Make what is wanted for *keys*, of *args*."""
        self._keys.update(keys)
        if self._is_lookup:
            self._tell(events.Missed, keys)
        started = self._now()
        try:
            made = self._create(*args)
        except (Exception, SystemExit):
            self._tell(events.CreatorRaised, keys)
            raise
        share = (self._now() - started) / max(1, len(keys))
        # Whether it is stored is dogpile.cache's to decide, and it does not say.
        self._tell(events.Created, keys, cost=share, stored=True)
        return made

    def hit_all_but_made(self, keys: Iterable[str]) -> None:
        """Tell of those of *keys* that the creator was not asked for."""
        for key in keys:
            if key not in self._keys:
                self._listeners.hit(self._region, key)

    def _tell(self, kind: Any, keys: Sequence[str], **told: Any) -> None:
        for key in keys:
            self._listeners.tell(kind(region=self._region, key=key, **told))


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
