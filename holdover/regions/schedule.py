"""What is to be run when: one schedule, as checked values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, cast

from holdover.regions import plugins
from holdover.regions.codecs import refuse_lazy_function
from holdover.regions.commands import Command
from holdover.regions.due import AnyOf, Due, Every, Later, share
from holdover.regions.errors import ConfigurationError, check_count, unknown
from holdover.regions.keys import name_of
from holdover.regions.lifetime import seconds, seconds_or_none
from holdover.regions.mailing import MailTo
from holdover.regions.runs import Run

DEFAULT_HISTORY = 10
DEFAULT_MAX_RUNTIME = 3600.0
_LONGEST_NAME = 200
_LONGEST_RUNTIME = 7 * 86_400.0

OnError = Callable[[Run], object]


class ScheduleOptions(TypedDict, total=False):
    """The options of `Region.schedule`, for type checkers."""

    every: float | timedelta | None
    cron: str | Sequence[str] | None
    timezone: str
    name: str | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    history: int
    jitter: float | timedelta
    on_error: str | OnError | None
    max_runtime: float | timedelta
    retry_after: float | timedelta | None
    value: bool
    command: str | Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is to be run when; see `Region.schedule`.

    Attributes:
        name: Its name, of which a region has one only.
        due: When it is due.
        function: What is run; None if it is a command.
        args: Positional arguments.
        kwargs: Keyword arguments.
        command: The program that is run.
        history: How many runs are kept.
        max_runtime: Seconds after which a run counts as failed.
        retry_after: Seconds after which a slot whose run has failed is begun again;
            None leaves it, and waits for the next.
        on_error: Called with each run that fails.
        has_value: Whether it is run for its value.
    """

    name: str
    due: Due
    function: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any]
    command: Command | None = None
    history: int = DEFAULT_HISTORY
    max_runtime: float = DEFAULT_MAX_RUNTIME
    retry_after: float | None = None
    on_error: OnError | None = None
    has_value: bool = True

    @property
    def retries(self) -> bool:
        """Whether a slot is begun again until a run of it succeeds."""
        return self.retry_after is not None


def read_schedule(
    function: Callable[..., Any] | None, given: Mapping[str, Any]
) -> Schedule:
    """Check what a user wrote for a schedule.

    Raises:
        ConfigurationError: Something is wrong; the message says what.
        LazyValue: The function's values could be read only once.
        MissingDependency: ``cron`` needs a library that is not installed.
    """
    known = ScheduleOptions.__annotations__
    for option in given:
        if option not in known:
            raise ConfigurationError(unknown("option of a schedule", option, known))
    command = given.get("command")
    if (function is None) == (command is None):
        raise ConfigurationError("a schedule needs either a function or a command=")
    if function is not None:
        _check_function(function)
    name = _name(function, given.get("name"))
    args, kwargs = given.get("args", ()), given.get("kwargs", {})
    _check_arguments(args, kwargs, of_command=command is not None)
    history = given.get("history", DEFAULT_HISTORY)
    check_count("history", history)
    return Schedule(
        name=name,
        due=_due(name, given),
        function=function,
        args=tuple(args),
        kwargs=dict(kwargs),
        command=None if command is None else Command.of(command),
        history=history,
        max_runtime=_max_runtime(given.get("max_runtime", DEFAULT_MAX_RUNTIME)),
        retry_after=seconds_or_none(given.get("retry_after"), "retry_after"),
        on_error=_on_error(given.get("on_error")),
        has_value=_truth(given.get("value", True)),
    )


def _check_function(function: object) -> None:
    if not callable(function):
        raise ConfigurationError(
            f"a schedule's function must be callable, got {function!r:.80}"
        )
    refuse_lazy_function(function)


def _name(function: Callable[..., Any] | None, given: object) -> str:
    name = given if function is None or given is not None else name_of(function)
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise ConfigurationError(
            f"a schedule needs a name= of 1 to {_LONGEST_NAME} characters, "
            f"got {name!r:.80}"
        )
    return name


def _check_arguments(args: object, kwargs: object, *, of_command: bool) -> None:
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise ConfigurationError(f"args must be a list, got {args!r:.80}")
    if not isinstance(kwargs, Mapping):
        raise ConfigurationError(f"kwargs must be a mapping, got {kwargs!r:.80}")
    if of_command and (args or kwargs):
        raise ConfigurationError("a command's arguments are given in command=[...]")


def _due(name: str, given: Mapping[str, Any]) -> Due:
    every, cron = given.get("every"), given.get("cron")
    if (every is None) == (cron is None):
        raise ConfigurationError("a schedule needs either every= or cron=")
    due: Due
    if cron is not None:
        due = _cron(cron, _timezone(given))
    elif "timezone" in given:
        raise ConfigurationError("timezone= belongs to cron=, and every= has none")
    else:
        due = Every(cast("float", every))
    jitter = seconds(given.get("jitter", 0.0), "jitter", zero=True)
    if isinstance(due, Every) and jitter >= due.span:
        raise ConfigurationError(
            f"jitter must be less than every={due.span:g} s, got {jitter:g} s"
        )
    return Later(due, jitter * share(name)) if jitter else due


def _cron(given: object, timezone: Any) -> Due:
    """Read one line's five fields, or those of several."""
    make = plugins.load("schedule", "cron")
    if isinstance(given, str) or not isinstance(given, Sequence):
        return cast("Due", make(given, timezone))
    if not given:
        raise ConfigurationError("cron is an empty list: it is never due")
    dues = tuple(make(one, timezone) for one in given)
    return dues[0] if len(dues) == 1 else AnyOf(dues)


def _timezone(given: Mapping[str, Any]) -> Any:
    return given.get("timezone", "UTC")


def _max_runtime(given: object) -> float:
    span = seconds(given, "max_runtime")
    if span > _LONGEST_RUNTIME:
        raise ConfigurationError(
            f"max_runtime must be at most {_LONGEST_RUNTIME:g} seconds (7 days), "
            f"got {span:g}"
        )
    return span


def _on_error(given: object) -> OnError | None:
    if given is None or callable(given):
        return given
    return MailTo.of(given if isinstance(given, str) else repr(given))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"value must be True or False, got {value!r:.80}")
    return value
