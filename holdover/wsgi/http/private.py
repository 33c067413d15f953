"""Whether an answer was made for one user, though its head does not say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdover.wsgi.sessions.reading import ReadableSession

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


_USERS = ("REMOTE_USER", "SSL_CLIENT_S_DN", "HTTPS_DN")  # mod_wsgi's and uWSGI's too


def names_user(environ: WSGIEnvironment) -> bool:
    """Say whether it is known whose request this is.

    Apache httpd keeps ``Authorization`` to itself, and servers check certificates.
    """
    return any(environ.get(name) for name in _USERS)


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
