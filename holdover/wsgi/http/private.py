"""Whether an answer was made for one user, though its head does not say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdover.wsgi.session_reading import ReadableSession

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def uses_session(environ: WSGIEnvironment) -> bool:
    """Say whether this request has used a session.

    One of a middleware outside of the cache has the response say so only after it has
    passed the cache.
    """
    for value in environ.values():
        if isinstance(value, ReadableSession) and value.accessed():
            return True
    beakers = getattr(environ.get("beaker.session"), "accessed", None)
    return bool(beakers()) if callable(beakers) else False
