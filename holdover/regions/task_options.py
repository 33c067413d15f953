"""How orders travel: options for the queue, of a region, a function or a call.

The nearest decides, option by option: a call's before its function's, before its
region's, before its runner's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdover.regions.errors import ConfigurationError

Given = Mapping[str, Any] | Callable[..., Mapping[str, Any]]
"""Options, or what makes them from a call's arguments."""


def checked(given: object) -> dict[str, Any]:
    """Take options as somebody wrote them; None stands for no options.

    Raises:
        ConfigurationError: They are no mapping with names.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(one, str) for one in given):
        raise ConfigurationError(
            'task_options must be a mapping such as {"queue": "refresh"}, got '
            f"{given!r:.200}"
        )
    return dict(given)


def made(given: Given | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Give the options of one call.

    Raises:
        ConfigurationError: What makes them made something else.
        Exception: Whatever that raised.
    """
    return checked(given(*args, **kwargs) if callable(given) else given)


def layered(outer: Given | None, inner: Mapping[str, Any]) -> Given:
    """Give *outer* options, and *inner* ones that decide where both say something."""
    if not callable(outer):
        return {**(outer or {}), **inner}
    return lambda *args, **kwargs: {**made(outer, args, kwargs), **inner}
