"""Errors that say which option is wrong, in the words of whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from holdover.regions.errors import ConfigurationError
from holdover.regions.options import ARGUMENTS, Options
from holdover.regions.texts import masked, shown


@contextmanager
def blamed_on(options: Options) -> Iterator[None]:
    """Let errors say which of *options* is wrong, as it was written, and no secrets."""
    try:
        yield
    except ConfigurationError as error:
        said = str(error)
        key = _culprit(said, options)
        told = masked(_without_secrets(said, options))
        told = told if key is None or key in told else f"{key}: {told}"
        reword(error, told)
        if told != said and masked(said) != said:
            raise error from None  # the cause would tell what this does not
        raise


@contextmanager
def saying(where: str) -> Iterator[None]:
    """Let errors begin by saying *where*, unless they do say it."""
    try:
        yield
    except ConfigurationError as error:
        if where not in str(error):
            reword(error, f"{where}: {error}")
        raise


def reword(error: Exception, message: str) -> None:
    """Let *error* say something else, and be what it is."""
    error.args = (message,)
    if isinstance(error, ImportError):  # which keeps its message here as well
        error.msg = message


# -- small steps ---------------------------------------------------------------


def _culprit(message: str, options: Options) -> str | None:
    """Find the option that an error speaks of: the first that it names, or shows.

    What checks a value knows its name only, "ttl", not that it was written
    "cache.prices.lease.ttl"; and it is checked with all the others at once, since
    some are wrong only together.
    """
    places = []
    for name, written in options.items():
        whole = name.removeprefix(ARGUMENTS)
        last = whole.rpartition(".")[2]
        either = "|".join(map(re.escape, (whole, last)))
        place = re.search(rf"(?<![\w.])({either})(?!\w)", message)
        if place is not None:
            places.append((place.start(), -len(name), written.key))
    if places:
        return min(places)[2]
    told = (
        written.key for written in options.values() if repr(written.value) in message
    )
    return next(told, None)


def _without_secrets(message: str, options: Options) -> str:
    for written in options.values():
        value = written.value
        if isinstance(value, str) and value and shown(written.key, value) == "'***'":
            message = message.replace(repr(value), "'***'")
    return message
