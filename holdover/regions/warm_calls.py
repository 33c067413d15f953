"""Calls that are to be warmed, as they are declared: checked values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from holdover.regions.calls import Made
from holdover.regions.errors import ConfigurationError
from holdover.regions.warmth import WarmCall

GivenCall = WarmCall | Sequence[Any] | Mapping[str, Any]
"""One call, as a user writes it."""

GivenCalls = Iterable[GivenCall] | Callable[[], Iterable[GivenCall]]
"""Several of them, or a function that gives them when warming begins."""

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


def read_calls(given: object) -> GivenCalls:
    """Read several calls, or what gives them, as a user writes them.

    Raises:
        ConfigurationError: They are none, or can be read only once.
    """
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


def read_group(given: object) -> str:
    """Read the name of a group.

    Raises:
        ConfigurationError: It is none, or stands for what is recorded.
    """
    if not isinstance(given, str) or not given or given.startswith("-"):
        raise ConfigurationError(f"a group is a name, got {given!r:.80}")
    if given == HOT_GROUP:
        raise ConfigurationError(
            f"the group {HOT_GROUP!r} stands for what record_hot= records: choose "
            "another name"
        )
    return given
