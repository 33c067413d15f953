"""Functions decorated in Beaker's way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from holdover import Delivery, Region, errors
from holdover.wsgi.beaker.caches import Cache, is_over_at_once
from holdover.wsgi.beaker.naming import (
    Address,
    Arguments,
    joined,
    namespace_of,
    tag_of,
)
from holdover.wsgi.beaker.regions import cache_regions, unknown_region

Answer = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
_MARK = "_arg_cached"


class Decorated:
    """One function, and the region where its values are.

    The region is looked up by its name at each call, so that modules may decorate
    while they are imported, and the application may configure regions later, and anew.

    Args:
        function: What is cached.
        parts: The decorator's words, with which all its keys begin.
        find: Gives the region; None if there is none yet.
        region_name: What to call it in errors.
        expire: Seconds for which values are fresh; None means as the region says.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parts: Sequence[object],
        find: Callable[[], Region | None],
        region_name: str,
        expire: Any = None,
    ) -> None:
        self.namespace = namespace_of(function)
        self.region_name = region_name
        self._function = function
        self._parts = parts
        self._find = find
        self._expire = expire
        self._arguments = Arguments(function)
        self._address = Address(self.namespace)
        self._bound: tuple[Region | None, Answer] = (None, self._refuse)
        if self._can_travel:
            self.bind_if_found()
            cache_regions.waiting.add(self)

    def wrapper(self) -> Callable[..., Any]:
        """Make the function that takes its place."""

        @functools.wraps(self._function)
        def cached(*args: Any, **kwargs: Any) -> Any:
            return self._answer(args, kwargs)

        def invalidate(*args: Any, **kwargs: Any) -> Delivery:
            """Remove the value of a call, for all who share the backend."""
            key = self._arguments.key_without_self(self._parts, args, kwargs)
            return self.cache().remove_value(key)

        marks = {"_arg_namespace": self.namespace, _MARK: self}
        vars(cached).update(marks, invalidate=invalidate)
        return cached

    def cache(self) -> Cache:
        """Give the namespace of its values.

        Raises:
            ConfigurationError: The region is not configured.
        """
        region = self._find()
        if region is None:
            raise unknown_region(self.region_name, cache_regions, self.namespace)
        return Cache.of_region(self.namespace, region, {})

    def bind_if_found(self) -> None:
        """Let the region know the function, whose workers are to find it there."""
        region = self._find()
        if region is not None and region is not self._bound[0]:
            self._bound = (region, self._answering(region))

    # -- small steps -----------------------------------------------------------

    def _answer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._bound[0] is not self._find():
            self.bind_if_found()
        return self._bound[1](args, kwargs)

    def _refuse(self, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Any:
        raise unknown_region(self.region_name, cache_regions, self.namespace)

    @property
    def _can_travel(self) -> bool:
        """Whether another process could find it: it stands at the top of a module."""
        name = getattr(self._function, "__qualname__", "")
        return name.isidentifier()

    def _answering(self, region: Region) -> Answer:
        function = self._function
        if self._expire is not None and is_over_at_once(self._expire):
            return lambda args, kwargs: function(*args, **kwargs)
        if self._can_travel:
            try:
                return self._registered(region)
            except errors.UnimportableFunction:
                pass  # as what is defined in the main script: it stays in this process
        tags, expire = (tag_of(self.namespace),), self._expire

        def answer(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return region.get_or_create(
                self._key(args, kwargs),
                function,
                expire,
                creator_args=(args, kwargs),
                tags=tags,
            )

        return answer

    def _registered(self, region: Region) -> Answer:
        """Register the function under its own name, by which orders travel."""
        cached = region.cache_on_arguments(
            joined(self._parts) or None,
            self._expire,
            function_key_generator=self._key_generator,
            tags=(tag_of(self.namespace),),
        )(_as_called(self._function))
        return lambda args, kwargs: cached(*args, **kwargs)

    def _key_generator(self, _namespace: str | None, _function: Any) -> Any:
        return lambda *args, **kwargs: self._key(args, kwargs)

    def _key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        text = self._arguments.key(self._parts, args, kwargs)
        return self._address.of(text)


def decorated_of(function: object) -> Decorated | None:
    """Give what stands behind a decorated function or method."""
    return cast("Decorated | None", getattr(function, _MARK, None))


def _as_called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the same function without its signature.

    What is cached under a signature gets all defaults as arguments, and ``f(1)`` would
    have the key of ``f(1, 2)``, which Beaker's users invalidate apart.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(call, name, getattr(function, name))
    return call
