"""Flask's ``session``, kept as ours are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask.sessions import SessionInterface
from flask.wrappers import Request, Response

from holdover import errors
from holdover.wsgi.sessions.middleware import Sessions, finished, saving_sessions
from holdover.wsgi.sessions.options import SessionOptions
from holdover.wsgi.sessions.session import Session


class FlaskSession(Session):
    """A session with the attributes that Flask's have."""

    @property
    def new(self) -> bool:
        """Whether nothing is stored of it yet."""
        return self.is_new

    @property
    def modified(self) -> bool:
        """Whether there are changes to be saved, in lists and dictionaries too."""
        return self.dirty()

    @modified.setter
    def modified(self, value: bool) -> None:
        """Take what Flask's own sessions have to be told; this one knows."""

    @property
    def permanent(self) -> bool:
        """Whether browsers keep it when they are closed: ``cookie_expires``."""
        return self._terms.cookie.is_lasting

    @permanent.setter
    def permanent(self, value: bool) -> None:
        """Refuse what would have no effect.

        Raises:
            ConfigurationError: ``cookie_expires`` says otherwise.
        """
        if bool(value) is not self.permanent:
            raise errors.ConfigurationError(
                f"session.permanent = {value!r}: cookie_expires says how long browsers "
                "keep all sessions; set it there"
            )


class FlaskSessions(SessionInterface):
    """Keeps Flask's ``session`` in a region, or sealed in its cookie.

    ::

        app = Flask(__name__)
        app.session_interface = FlaskSessions({"store": "redis://localhost/0"})

    Changes are saved when a response is ready, as Flask's sessions are.

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

    def open_session(self, app: Flask, request: Request) -> Any:
        """Give the session of a request; nothing is read before it is used."""
        return self.sessions.open_as(FlaskSession, request.environ)

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        """Save what has changed, and tell the browser and caches what they must know.

        Raises:
            Exception: See `Session.save`.
        """
        headers = session.respond(list(response.headers))
        response.headers.clear()
        response.headers.extend(headers)
        if response.is_streamed and not response.direct_passthrough:
            body: Any = response.response
            response.response = finished(body, session, {})
        else:
            response.call_on_close(session.finish)
