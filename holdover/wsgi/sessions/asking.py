"""Asking a region, whose failures are told in this door's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from holdover import errors
from holdover.wsgi.sessions.errors import SessionTooLarge, SessionUnavailable

P = ParamSpec("P")
T = TypeVar("T")


def asked(operation: Callable[P, T], *args: P.args, **kw: P.kwargs) -> T:
    """Carry out a region's *operation*, in its strict form.

    Raises:
        SessionTooLarge: The backend takes nothing of that size.
        SessionUnavailable: The backend could not do it.
    """
    try:
        return operation(*args, **kw)
    except errors.ValueTooLarge as error:
        raise SessionTooLarge(f"the session does not fit: {error}") from error
    except errors.BackendError as error:
        raise SessionUnavailable(f"sessions cannot be reached: {error}") from error
