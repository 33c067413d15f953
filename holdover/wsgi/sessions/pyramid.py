"""Pyramid's ``request.session``, kept as ours are. Pyramid itself is not needed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, cast

from holdover.wsgi.sessions.middleware import Sessions, finished, saving_sessions
from holdover.wsgi.sessions.options import SessionOptions
from holdover.wsgi.sessions.session import Session

_FLASHES = "_f_"  # as Pyramid's own sessions have them, so that those of
_CSRF = "_csrft_"  # Beaker's that are taken over keep theirs


class PyramidSession(Session):
    """A session with the methods of Pyramid's ``ISession``."""

    @property
    def created(self) -> int:
        """When it began, in seconds since 1970."""
        known = super().created
        return int(self._terms.now() if known is None else known)

    @property
    def new(self) -> bool:
        """Whether nothing is stored of it yet."""
        return self.is_new

    def changed(self) -> None:
        """Take what other sessions have to be told; this one knows."""

    def flash(
        self,
        msg: Any,
        queue: str = "",
        allow_duplicate: bool = True,  # noqa: FBT001, FBT002 - Pyramid's signature
    ) -> None:
        """Add a message to a queue, unless it is there and *allow_duplicate* is not."""
        messages = self.setdefault(_FLASHES + queue, [])
        if allow_duplicate or msg not in messages:
            messages.append(msg)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """Give a queue's messages, and empty it."""
        return cast("list[Any]", self.pop(_FLASHES + queue, []))

    def peek_flash(self, queue: str = "") -> list[Any]:
        """Give a queue's messages."""
        return cast("list[Any]", self.get(_FLASHES + queue, []))

    def new_csrf_token(self) -> str:
        """Make a token by which forms prove that they are ours."""
        token = self[_CSRF] = secrets.token_urlsafe(32)
        return token

    def get_csrf_token(self) -> str:
        """Give that token; made if there is none."""
        token = self.get(_CSRF)
        return self.new_csrf_token() if token is None else cast("str", token)


class PyramidSessions:
    """Keeps Pyramid's ``request.session`` in a region, or sealed in its cookie.

    ::

        config.set_session_factory(PyramidSessions({"store": "redis://localhost/0"}))

    Changes are saved when a response is ready, as Pyramid's sessions are.

    Args:
        config: See `SessionMiddleware`; ``auto`` is always on, and ``on_unavailable``
            is for `SessionMiddleware` only.

    Attributes:
        sessions: The sessions, for `Sessions.end_all` and its like.

    Raises:
        ConfigurationError: An argument is wrong; the message names the option.
    """

    def __init__(self, config: Sessions | SessionOptions | Mapping[str, Any]) -> None:
        self.sessions = saving_sessions(config)

    def __call__(self, request: Any) -> PyramidSession:
        """Give the session of a request; nothing is read before it is used."""
        session = self.sessions.open_as(PyramidSession, request.environ)

        def respond(request: Any, response: Any) -> None:
            response.headerlist = session.respond(list(response.headerlist))
            response.app_iter = finished(response.app_iter, session, request.environ)

        request.add_response_callback(respond)
        return session
