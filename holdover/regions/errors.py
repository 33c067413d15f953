"""Every error that Holdover raises, in one tree.

All of them descend from dogpile.cache's base error, and where dogpile.cache has an
error of the same meaning ours is one of its kind, so ``except`` clauses written for
dogpile.cache go on working.
"""

from __future__ import annotations

from collections.abc import Iterable

from dogpile.cache import exception as dogpile

__all__ = [
    "BackendError",
    "CommandFailed",
    "ConfigurationError",
    "CreatorBackoff",
    "CreatorFailure",
    "CreatorTimeout",
    "HoldoverError",
    "InsecureDirectory",
    "InvalidArgument",
    "InvalidLifetime",
    "InvalidOrder",
    "LazyValue",
    "LeaseTimeout",
    "MissingDependency",
    "MissingTable",
    "RecursiveCreation",
    "RegionAlreadyConfigured",
    "RegionNotConfigured",
    "RunnerUnavailable",
    "UncacheableValue",
    "UnimportableFunction",
    "UnkeyableArgument",
    "UnknownName",
    "UnknownSchedule",
    "UnregisteredFunction",
    "UnsignedPickleWarning",
    "ValueTooLarge",
    "WarmingFailed",
]


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Word an error: *name* is no *kind*, what was likely meant, and what there is."""
    from difflib import get_close_matches

    known = sorted(known)
    near = _of_that_surname(name, known) or get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}"


def check_count(
    name: str, value: object, *, least: int = 1, most: int | None = None
) -> None:
    """Refuse what is no whole number from *least* to *most*.

    Raises:
        ConfigurationError: It says what was wanted, and what was found.
    """
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if is_count and least <= value and (most is None or value <= most):  # type: ignore[operator]
        return
    if most is not None:
        wanted = f"an int from {least} to {most}"
    else:
        wanted = f"an int of {least} or more" if least != 1 else "an int above 0"
    raise ConfigurationError(f"{name} must be {wanted}, got {value!r:.80}")


def _of_that_surname(name: object, known: list[str]) -> list[str]:
    """Find what is called *name* within something: "holdover.redis" for "redis"."""
    surname = str(name).rpartition(".")[2]
    return sorted(
        (one for one in known if "." in one and one.rpartition(".")[2] == surname),
        key=len,
    )


class HoldoverError(dogpile.DogpileCacheException):
    """Anything that Holdover itself raises."""


class ConfigurationError(HoldoverError, dogpile.ValidationError, ValueError):
    """An option or a combination of options that cannot work."""


class InvalidLifetime(ConfigurationError):
    """A span of time that is negative, zero where it may not be, NaN or no number."""


class UnknownName(ConfigurationError, dogpile.PluginNotFound):
    """A backend, codec or runner that nobody has registered under that name."""


class MissingDependency(ConfigurationError, ImportError):
    """An optional library is needed and not installed; the message names the extra."""


class InsecureDirectory(ConfigurationError):
    """A cache directory that other users of the machine could write to."""


class MissingTable(ConfigurationError):
    """There is no table to keep entries in, and nobody has said to make one.

    Attributes:
        ddl: The statements that make it.
    """

    def __init__(self, message: str, ddl: str) -> None:
        super().__init__(message)
        self.ddl = ddl

    def __reduce__(self) -> tuple[type[MissingTable], tuple[str, str]]:
        """Survive a way to another process."""
        return type(self), (str(self), self.ddl)


class UnimportableFunction(ConfigurationError):
    """A function that no worker process could find again by its name."""


class RegionNotConfigured(HoldoverError, dogpile.RegionNotConfigured):
    """The region was used before ``configure()``."""


class RegionAlreadyConfigured(HoldoverError, dogpile.RegionAlreadyConfigured):
    """``configure()`` was called a second time without asking to replace."""


class UncacheableValue(HoldoverError, TypeError):
    """A value that cannot be kept: it is lazy, or its codec cannot encode it."""


class LazyValue(UncacheableValue):
    """A generator, iterator or coroutine: reading it once would use it up."""


class UnkeyableArgument(HoldoverError, TypeError):
    """An argument from which no lasting key can be made."""


class InvalidArgument(HoldoverError, TypeError):
    """A key that is no text, a creator that cannot be called, and the like."""


class RecursiveCreation(HoldoverError, RuntimeError):
    """A creator asked for the very key that it was creating."""


class CreatorTimeout(HoldoverError, TimeoutError):
    """A creator took longer than ``creator_timeout``; it goes on in the background."""


class CreatorBackoff(HoldoverError):
    """A creator has failed and is left alone for a while; there is no old value.

    Attributes:
        retry_in: Seconds until it is tried again.
    """

    def __init__(self, message: str, retry_in: float = 0.0) -> None:
        super().__init__(message)
        self.retry_in = retry_in


class CreatorFailure(HoldoverError):
    """What a creator raised, maybe in another process: its cause, in words."""


class UnknownSchedule(HoldoverError, LookupError):
    """No schedule of that name was declared for the region in this process."""


class WarmingFailed(HoldoverError):
    """Calls that were to be warmed have failed; the message counts them."""


class CommandFailed(HoldoverError):
    """A scheduled command could not be started, took too long, or said so itself.

    Attributes:
        output: The end of what it said.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class LeaseTimeout(HoldoverError, TimeoutError):
    """Nobody had created the value when the caller's wait was over."""


class BackendError(HoldoverError):
    """A backend could not carry out an operation; the cause is chained."""


class InvalidOrder(HoldoverError, ValueError):
    """A refresh message that is not an order of ours."""


class UnregisteredFunction(HoldoverError, LookupError):
    """An order names a function that this process has not registered."""


class RunnerUnavailable(HoldoverError):
    """A runner cannot take an order now: its queue is full, closed or out of reach."""


class ValueTooLarge(BackendError):
    """The value is larger than its backend may hold; what was stored is removed."""


class UnsignedPickleWarning(UserWarning):
    """Values are unpickled from a server, and who can write there can run code here."""
