"""Regions with dogpile.cache's own defaults, for programs that were written for it.

Change ``from dogpile.cache import make_region`` into
``from holdover.dogpile import make_region`` and nothing else: keys, stored values and
the meaning of every method stay what they were. See "Coming from dogpile.cache".
"""

from __future__ import annotations

from typing import Any

from dogpile.cache import register_backend
from dogpile.cache.api import (
    NO_VALUE,
    CacheBackend,
    CachedValue,
    CacheMutex,
    CantDeserializeException,
)
from dogpile.cache.proxy import ProxyBackend
from dogpile.cache.region import RegionInvalidationStrategy
from dogpile.cache.util import (
    function_key_generator,
    function_multi_key_generator,
    kwarg_function_key_generator,
    length_conditional_mangler,
    sha1_mangle_key,
)

from holdover import Defaults, Region

__all__ = [
    "NO_VALUE",
    "CacheBackend",
    "CacheMutex",
    "CacheRegion",
    "CachedValue",
    "CantDeserializeException",
    "ProxyBackend",
    "RegionInvalidationStrategy",
    "function_key_generator",
    "function_multi_key_generator",
    "kwarg_function_key_generator",
    "length_conditional_mangler",
    "make_region",
    "register_backend",
    "sha1_mangle_key",
]


class CacheRegion(Region):
    """A region with dogpile.cache's defaults; see `Region` for what it can do.

    Keys are those of dogpile.cache, values that it stored are hits, an old value is
    kept and served without end while one caller makes the next, and a creator's error
    is raised even when an old value is at hand. Each may be set otherwise in
    ``configure()``: ``keep_for``, ``stale_while_revalidate``, ``stale_if_error``,
    ``backoff``; ``unsigned_pickle=False`` asks for the warning that is kept back here.
    """

    defaults = Defaults(
        settings={
            "keep_for": None,
            "stale_if_error": 0,
            "backoff": 0,
            "unsigned_pickle": True,
        },
        as_dogpile=True,
    )
    bound_handles = False
    strict_config = False


def make_region(*args: Any, **options: Any) -> CacheRegion:
    """Make a region; takes what `CacheRegion` takes."""
    return CacheRegion(*args, **options)
