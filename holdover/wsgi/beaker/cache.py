"""What Beaker's users import from ``beaker.cache``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache as once
from typing import Any, Protocol, Self, TypeVar, cast

from holdover import Delivery, Region, Registry, errors
from holdover.wsgi.beaker.caches import Cache, expire_in
from holdover.wsgi.beaker.decorated import Decorated, decorated_of
from holdover.wsgi.beaker.exceptions import BeakerException, InvalidCacheBackendError
from holdover.wsgi.beaker.naming import joined
from holdover.wsgi.beaker.regions import (
    UNNAMED,
    RegionOptions,
    cache_regions,
    configured,
    unknown_region,
    unnamed_region,
)
from holdover.wsgi.beaker.util import laid_over

__all__ = [
    "BeakerException",
    "Cache",
    "CacheManager",
    "InvalidCacheBackendError",
    "cache_region",
    "cache_regions",
    "region_invalidate",
]

F = TypeVar("F", bound=Callable[..., Any])
_SPANS = frozenset({"expire", "expiretime", "starttime"})
_MOST_CACHES = 256


class Decorator(Protocol):
    """What decorates: the result has the function's own type."""

    def __call__(self, function: F, /) -> F:
        """Give what takes the function's place."""


class CacheManager:
    """Gives the caches of an application.

    ::

        manager = CacheManager(**parse_cache_config_options({
            "cache.type": "file",
            "cache.data_dir": "/var/cache/shop",
            "cache.regions": "short, long",
            "cache.short.expire": "60",
            "cache.short.stale_while_revalidate": "600",
        }))

    Its regions are its own. They also become those of `cache_region`, in the place of
    others of their names.

    Args:
        **kwargs: Beaker's options and Holdover's for caches without a region, and
            under "cache_regions" those of each region.

    Attributes:
        kwargs: The options for caches without a region.
        regions: Those of each region, by name.
        registry: The regions as a `holdover.Registry`.

    Raises:
        ConfigurationError: An option of a region is unknown or wrong.
    """

    def __init__(self, **kwargs: Any) -> None:
        regions = kwargs.pop("cache_regions", None) or {}
        self.kwargs = kwargs
        self._unnamed: Region | None = None  # made for the first who wants it
        # An application asks for the same ones in each request: 1.5 us less.
        self._caches: dict[tuple[object, ...], Cache] = {}
        self._take(configured(regions), regions)

    @classmethod
    def over(cls, registry: Registry) -> Self:
        """Make one for the regions of a registry, which are configured elsewhere."""
        made = cls()
        made._take(registry, {name: {} for name in registry})
        return made

    def _take(self, registry: Registry, options: dict[str, Any]) -> None:
        self.registry = registry
        self.regions = {
            name: RegionOptions(held, registry[name]) for name, held in options.items()
        }
        cache_regions.update(self.regions)

    def get_cache(self, name: str, **kwargs: Any) -> Cache:
        """Give a cache.

        Args:
            name: Its namespace.
            **kwargs: Options in place of the manager's; see `Cache`.

        Raises:
            ConfigurationError: An option is unknown or wrong.
        """
        if not kwargs.keys() <= _SPANS:
            return Cache(name, **laid_over(self.kwargs, kwargs))
        wanted = (name, *kwargs.items())
        try:
            cache = self._caches.get(wanted)
        except TypeError:  # no span at all, of which the cache says what is wrong
            return self._unnamed_cache(name, laid_over(self.kwargs, kwargs))
        if cache is None:
            cache = self._unnamed_cache(name, laid_over(self.kwargs, kwargs))
            if len(self._caches) >= _MOST_CACHES:
                self._caches.clear()
            self._caches[wanted] = cache
        return cache

    def _unnamed_cache(self, name: str, options: dict[str, Any]) -> Cache:
        if self._unnamed is None:
            self._unnamed = unnamed_region(_place_in(options))
        return Cache.of_region(
            name,
            self._unnamed,
            options,
            expire=expire_in(options),
            starttime=options.get("starttime"),
        )

    def get_cache_region(self, name: str, region: str) -> Cache:
        """Give a namespace of a region.

        Raises:
            ConfigurationError: The region is not configured.
        """
        found = self._region(region)
        if found is None:
            raise unknown_region(region, [*self.regions, *cache_regions])
        return Cache.of_region(name, found, self.regions.get(region, {}))

    def region(self, region: str, *args: object) -> Decorator:
        """Cache a function's values in a region; see `cache_region`."""
        return _decorator(region, args, lambda: self._region(region))

    def region_invalidate(
        self, namespace: Any, region: str | None, *args: object
    ) -> Delivery:
        """Remove a value of a function; see the module's `region_invalidate`."""
        return _invalidated(namespace, region, args, self._region)

    def cache(self, *args: object, **kwargs: Any) -> Decorator:
        """Cache a function's values by its arguments.

        Args:
            *args: Texts with which its keys begin.
            **kwargs: Options in place of the manager's; see `Cache`.

        Raises:
            ConfigurationError: An option is unknown or wrong.
        """
        options = laid_over(self.kwargs, kwargs)
        place, expire = _place_in(options), expire_in(options)
        find = once(lambda: unnamed_region(place))

        def decorate(function: F, /) -> F:
            made = Decorated(function, args, find, UNNAMED, expire)
            return cast("F", made.wrapper())

        return decorate

    def invalidate(
        self, func: Callable[..., Any], *args: object, **_kwargs: Any
    ) -> Delivery:
        """Remove the value of a call of a function that `cache` decorates.

        Args:
            func: The function.
            *args: The decorator's texts and the call's arguments.
            **_kwargs: Beaker wants the decorator's options once more; here the function
                knows where its values are.

        Raises:
            InvalidArgument: It is not decorated.
        """
        return _cache_of(func).remove_value(joined(args))

    def _region(self, name: str) -> Region | None:
        if name in self.registry:
            return self.registry[name]
        return cache_regions.region(name)


def cache_region(region: str, *args: object) -> Decorator:
    """Cache a function's values in a region, by its arguments.

    ::

        @cache_region("short", "search")
        def search(words): ...

    The region may be configured later. The object of a method is no part of its keys.
    What takes the function's place has a handle ``invalidate``, which takes a call's
    arguments and removes its value.

    Args:
        region: The region's name, one of `cache_regions`.
        *args: Texts with which the keys begin, apart from the function's name.
    """
    return _decorator(region, args, lambda: cache_regions.region(region))


def region_invalidate(namespace: Any, region: str | None, *args: object) -> Delivery:
    """Remove the value of one call of a decorated function.

    Args:
        namespace: The function, or the text that is its ``_arg_namespace``.
        region: The region's name, which a function knows by itself.
        *args: The decorator's texts and the call's arguments, by their places.

    Returns:
        A `Delivery`, ``pending`` if the backend could not be reached.

    Raises:
        ConfigurationError: The region is not configured, or none is given.
        InvalidArgument: The function is not decorated.
    """
    return _invalidated(namespace, region, args, cache_regions.region)


# -- small steps ---------------------------------------------------------------


def _decorator(
    region: str, parts: tuple[object, ...], find: Callable[[], Region | None]
) -> Decorator:
    if not isinstance(region, str):  # as in ``@cache_region`` without its arguments
        raise errors.InvalidArgument(f"a region's name is a text, got {region!r:.80}")

    def decorate(function: F, /) -> F:
        cached = Decorated(function, parts, find, region).wrapper()
        vars(cached)["_arg_region"] = region
        return cast("F", cached)

    return decorate


def _invalidated(
    namespace: Any,
    region: str | None,
    args: tuple[object, ...],
    find: Callable[[str], Region | None],
) -> Delivery:
    if callable(namespace):
        return _cache_of(namespace).remove_value(joined(args))
    if not region:
        raise errors.ConfigurationError(
            "name the region, or give the function itself: "
            f"region_invalidate({namespace!r:.80}, 'short', ...)"
        )
    found = find(region)
    if found is None:
        raise unknown_region(region, cache_regions)
    return Cache.of_region(namespace, found, {}).remove_value(joined(args))


def _place_in(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is a cache's own, and no part of where its values are."""
    return {name: value for name, value in options.items() if name not in _SPANS}


def _cache_of(function: object) -> Cache:
    """Give the cache of a decorated function.

    Raises:
        InvalidArgument: It is not decorated.
    """
    decorated = decorated_of(function)
    if decorated is None:
        raise errors.InvalidArgument(f"{function!r:.80} is not cached by a decorator")
    return decorated.cache()
