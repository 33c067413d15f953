"""Warming: what a region is to have before anybody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from holdover.regions.backends.base import Backend
from holdover.regions.bound import BoundMethod, CachedMethod
from holdover.regions.cached import CachedFunction
from holdover.regions.cached_many import CachedMany
from holdover.regions.calls import Call
from holdover.regions.defaults import DEFAULT_GROUP
from holdover.regions.errors import ConfigurationError, UnregisteredFunction
from holdover.regions.inline import Behind
from holdover.regions.keys import name_of
from holdover.regions.scheduling import SchedulingRegion
from holdover.regions.settings import Settings
from holdover.regions.worker import CATALOGUE

if TYPE_CHECKING:
    from holdover.regions.hot import HotCalls
    from holdover.regions.warm_calls import GivenCalls, Warming
    from holdover.regions.warmth import HotCall

F = TypeVar("F", bound=Callable[..., Any])


class WarmingRegion(SchedulingRegion):
    """The part of a region that knows what is to be warm. See `Region`."""

    _hot: HotCalls | None = None

    @cached_property
    def _warmings(self) -> list[Warming]:
        """What was declared."""
        return []

    @overload
    def warming(
        self,
        function: Callable[..., Any],
        /,
        *,
        calls: GivenCalls,
        group: str = DEFAULT_GROUP,
    ) -> Warming: ...
    @overload
    def warming(
        self, /, *, calls: GivenCalls, group: str = DEFAULT_GROUP
    ) -> Callable[[F], F]: ...
    def warming(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        calls: GivenCalls,
        group: str = DEFAULT_GROUP,
    ) -> Warming | Callable[[F], F]:
        """Declare calls whose values are to be there before anybody asks.

        Nothing is computed before a `Warmer` or ``holdover warm`` does it::

            @region.warming(calls=[(17,), (18,)], group="front")
            @region.cache_on_arguments()
            def price_of(article): ...

            region.warming(shop.page, calls=bestsellers)

        Args:
            function: What this region caches: a function, a method of an object
                (``shop.page``), or one that makes many values at once.
            calls: The calls: tuples of arguments, mappings of keyword arguments, or
                `WarmCall`, which has both; for a function that makes many values, each
                is a tuple of ids that are made together. Or a function that gives them
                when warming begins, which may be a generator's: they are taken as
                they are needed.
            group: By which it is warmed: ``holdover warm GROUP``.

        Returns:
            The warming; as a decorator, what was decorated.

        Raises:
            ConfigurationError: *function* is not cached by this region, does not take
                one of the *calls*, or these can be read only once; or *group* is no
                name, or "hot", which stands for what is recorded.
        """
        if function is not None:
            return self.add_warming(self.read_warming(function, calls, group))

        def decorate(decorated: F) -> F:
            self.add_warming(self.read_warming(decorated, calls, group))
            return decorated

        return decorate

    @property
    def warmings(self) -> Sequence[Warming]:
        """What was declared to be warmed."""
        return tuple(self._warmings)

    def hot(self) -> list[HotCall]:
        """Give the calls that are asked for most, by all processes, hottest first.

        They are recorded with the setting ``record_hot=n``, by samples; those of other
        processes are half a minute old at most.

        Raises:
            BackendError: The record cannot be read, or this process's calls not added.
            RegionNotConfigured: The region is not configured.
        """
        self._require_configured()
        return [] if self._hot is None else self._hot.calls()

    # -- for warmers and the registry ------------------------------------------

    @property
    def records_hot(self) -> bool:
        """Whether hot calls are recorded."""
        return self._hot is not None

    def read_warming(self, function: object, calls: GivenCalls, group: str) -> Warming:
        """Check what a user wrote for a warming, without adding it.

        Raises:
            ConfigurationError: See `warming`.
        """
        from holdover.regions.warm_calls import Warming, read_calls, read_group

        cached, first = self._warmable(function)
        name = name_of(cached.function) or _shown(cached.function)
        made = Warming(
            group=read_group(group),
            function=name,
            calls=read_calls(calls),
            cached=cached,
            first=first,
        )
        if isinstance(made.calls, tuple):
            for call in made.calls:
                made.checked(call)
        return made

    def add_warming(self, made: Warming) -> Warming:
        """Add a warming that was read before; give it back."""
        self._warmings.append(made)
        return made

    def check_warming(self) -> None:
        """Tell of what would keep calls from being warmed.

        Raises:
            RegionNotConfigured: The region is not configured.
        """
        self._require_configured()

    def hot_warming(self, hot: HotCall) -> Warming:
        """Give the warming that makes one hot call.

        Raises:
            UnregisteredFunction: Its function is not known in this process.
        """
        from holdover.regions.warm_calls import HOT_GROUP, Warming

        found: object = CATALOGUE.find(self.name or "", hot.function)
        if not isinstance(found, CachedFunction | CachedMany):
            raise UnregisteredFunction(f"{hot.function!r} is no cached function")
        return Warming(
            group=HOT_GROUP, function=hot.function, calls=(hot.call,), cached=found
        )

    # -- small steps -----------------------------------------------------------

    def _warmable(self, function: Any) -> tuple[Behind, tuple[Any, ...]]:
        """Find what stands behind a function, and the object that it is bound to."""
        first: tuple[Any, ...] = ()
        if isinstance(function, BoundMethod):
            function, first = function.__func__, (function.__self__,)
        elif isinstance(function, CachedMethod):
            function = function.function
        cached = self._inline.behind(function)
        if cached is None:
            raise ConfigurationError(
                f"region {self.name!r} does not cache {_shown(function)}: decorate it "
                "with @region.cache_on_arguments(), or give region.cached(function)"
            )
        return cached, first

    def _assemble(self, rules: Settings) -> None:
        super()._assemble(rules)
        self._hot = None
        if rules.record_hot is None:
            return
        from holdover.regions.hot import HotCalls
        from holdover.regions.recording import build_hot_record

        record = build_hot_record(
            cast("str", self.name),
            rules,
            cast("Backend", self.backend),
            rules.record_hot,
            listeners=self._listeners,
            time_source=self._time,
        )
        self._hot = HotCalls(record, self._time)
        self._note = _both(self._note, self._hot.noting())


def _both(
    first: Callable[[Call], object] | None, second: Callable[[Call], object]
) -> Callable[[Call], object]:
    if first is None:
        return second

    def note(call: Call) -> None:
        first(call)
        second(call)

    return note


def _shown(function: object) -> str:
    return getattr(function, "__qualname__", None) or f"{function!r:.80}"
