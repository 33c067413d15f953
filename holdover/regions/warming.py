"""Warming: the calls whose values are wanted before anybody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar, cast, overload

from holdover.regions.assembling import Settings
from holdover.regions.backends.base import Backend
from holdover.regions.bound import BoundMethod, CachedMethod
from holdover.regions.cached import CachedFunction
from holdover.regions.cached_many import CachedMany
from holdover.regions.calls import Call, Made
from holdover.regions.errors import ConfigurationError, UnregisteredFunction
from holdover.regions.hot import HotCalls
from holdover.regions.inline import Behind
from holdover.regions.keys import name_of
from holdover.regions.recording import build_hot_record
from holdover.regions.scheduling import SchedulingRegion
from holdover.regions.warmth import HotCall, WarmCall
from holdover.regions.worker import CATALOGUE

F = TypeVar("F", bound=Callable[..., Any])

GivenCall = WarmCall | Sequence[Any] | Mapping[str, Any]
"""One call, as a user writes it."""

GivenCalls = Iterable[GivenCall] | Callable[[], Iterable[GivenCall]]
"""Several of them, or a function that gives them when warming begins."""

DEFAULT_GROUP = "default"
HOT_GROUP = "hot"


class Warmable(Protocol):
    """A cached function."""

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments with which it could not be called."""

    def warm(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, force: bool
    ) -> list[Made]:
        """Create what is not fresh; give what was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warming:
    """Calls of one function that are to be warmed; see `Region.warming`.

    Attributes:
        group: The group that they belong to.
        function: The function's name.
        calls: The calls, or what gives them.
        cached: The function.
        first: The object to which it is bound, if it is a method.
    """

    group: str
    function: str
    calls: GivenCalls
    cached: Warmable
    first: tuple[Any, ...] = ()

    @property
    def count(self) -> int | None:
        """How many calls there are; None if that is known only once they are given."""
        return len(self.calls) if isinstance(self.calls, tuple) else None

    def given(self) -> Iterator[GivenCall]:
        """Give the calls, one after the other, as they were written."""
        return iter(self.calls() if callable(self.calls) else self.calls)

    def checked(self, given: object) -> WarmCall:
        """Read one call.

        Raises:
            ConfigurationError: It is none, or the function does not take it.
        """
        call = read_call(given)
        try:
            self.cached.check_arguments((*self.first, *call.args), call.kwargs)
        except TypeError as error:
            raise ConfigurationError(f"{self.function}{call}: {error}") from error
        return call

    def warm(self, call: WarmCall, *, force: bool) -> list[Made]:
        """Create a call's values unless they are fresh; give what was made.

        Raises:
            BackendError: The backend cannot be reached.
            Exception: Whatever the creator raised, unchanged.
        """
        return self.cached.warm((*self.first, *call.args), call.kwargs, force=force)


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
        cached, first = self._warmable(function)
        name = name_of(cached.function) or _shown(cached.function)
        made = Warming(
            group=_group(group),
            function=name,
            calls=_read_calls(calls),
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


def _read_calls(given: object) -> GivenCalls:
    if callable(given):
        return given
    if isinstance(given, Iterator):
        raise ConfigurationError(
            "calls can be read only once: give the function that makes them, "
            "calls=bestsellers and not calls=bestsellers()"
        )
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigurationError(
            f"calls must be a list of calls or a function that gives it, got "
            f"{given!r:.80}"
        )
    return tuple(given) if isinstance(given, list | tuple) else given


def read_call(given: object) -> WarmCall:
    """Read a call as a user writes it.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(given, WarmCall):
        return given
    if isinstance(given, Mapping):
        return WarmCall((), dict(given))
    if isinstance(given, list | tuple):
        return WarmCall(tuple(given))
    raise ConfigurationError(
        "a call is a tuple of arguments, a mapping of keyword arguments or a WarmCall, "
        f"got {given!r:.80}: write ({given!r:.20},)"
    )


def _group(given: object) -> str:
    if not isinstance(given, str) or not given or given.startswith("-"):
        raise ConfigurationError(f"a group is a name, got {given!r:.80}")
    if given == HOT_GROUP:
        raise ConfigurationError(
            f"the group {HOT_GROUP!r} stands for what record_hot= records: choose "
            "another name"
        )
    return given


def _shown(function: object) -> str:
    return getattr(function, "__qualname__", None) or f"{function!r:.80}"
