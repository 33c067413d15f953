"""What Beaker's users import from ``beaker.session``: sessions without a middleware."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, MutableMapping
from typing import Any

from holdover.wsgi.beaker.exceptions import BeakerException
from holdover.wsgi.beaker.regions import frozen
from holdover.wsgi.sessions.middleware import Sessions
from holdover.wsgi.sessions.session import Session as PlainSession

__all__ = ["BeakerException", "CookieSession", "Session", "SessionObject"]

# Grows by setdefault() alone, as the regions of Beaker's calls do.
_sessions: dict[Hashable, Sessions] = {}


class Session(PlainSession):
    """A session of a request-like mapping.

    ::

        request = {"cookie": "beaker.session.id=..."}
        session = Session(request, type="file", data_dir="/var/lib/shop")
        session["visits"] = session.get("visits", 0) + 1
        session.save()
        if request["set_cookie"]:
            print("Set-Cookie:", request["cookie_out"])

    Sessions of the same options are kept in the same place, in memory too.

    Args:
        request: Has the Cookie header under "cookie", if there is one. After each
            change "set_cookie" says whether there is a cookie to be sent, and
            "cookie_out" is the value of its header.
        id: A session's id, in place of the cookie; one that is unknown is not adopted.
        use_cookies: False neither reads the cookie nor gives one.
        **params: Options by name, Beaker's or Holdover's; see `SessionOptions`.

    Attributes:
        request: See above.

    Raises:
        ConfigurationError: An option is unknown, wrong, or unsafe.
    """

    def __init__(
        self,
        request: MutableMapping[str, Any],
        id: str | None = None,  # noqa: A002 - Beaker's name
        *,
        use_cookies: bool = True,
        **params: Any,
    ) -> None:
        terms = _sessions_of(params).terms
        sent = (request.get("cookie") or "") if use_cookies else ""
        if id is not None:
            sent = f"{terms.cookie.name}={id}"
        super().__init__(terms, sent)
        self.request = request
        self._use_cookies = use_cookies
        self._tell()

    def save(self, accessed_only: bool = False) -> bool:  # noqa: FBT001, FBT002
        """Store what has changed, now; see `holdover.wsgi.Session.save`.

        Args:
            accessed_only: Give up what has changed, and note that it is in use.
        """
        if accessed_only:
            self.load()
            self.persist()
            return True
        is_saved = super().save()
        self._tell()
        return is_saved

    def persist(self) -> None:
        """See `holdover.wsgi.Session.persist`."""
        super().persist()
        self._tell()

    def delete(self) -> None:
        """See `holdover.wsgi.Session.delete`."""
        try:
            super().delete()
        finally:  # if the backend could not be told, the browser is
            self._tell()

    def regenerate_id(self) -> bool:
        """See `holdover.wsgi.Session.regenerate_id`."""
        is_stored = super().regenerate_id()
        self._tell()
        return is_stored

    def bind(self, user: str) -> bool:
        """See `holdover.wsgi.Session.bind`."""
        is_stored = super().bind(user)
        self._tell()
        return is_stored

    def _tell(self) -> None:
        """Say what the browser is to be sent."""
        if self._use_cookies:
            cookie = self.set_cookie
            told = {"set_cookie": cookie is not None, "cookie_out": cookie or ""}
            self.request.update(told)


class SessionObject(Session):
    """A session of a WSGI request, opened without a middleware.

    Args:
        environ: The request's environ.
        **params: See `Session`.
    """

    def __init__(self, environ: Mapping[str, Any], **params: Any) -> None:
        super().__init__({"cookie": environ.get("HTTP_COOKIE", "")}, **params)


class CookieSession(Session):
    """A session that is kept in its cookie.

    Args:
        request: See `Session`.
        **params: See `Session`.
    """

    def __init__(self, request: MutableMapping[str, Any], **params: Any) -> None:
        super().__init__(request, **{**params, "type": "cookie"})


def _sessions_of(params: Mapping[str, Any]) -> Sessions:
    """Give the sessions of these options: the same ones for the same."""
    wanted = frozen(params)
    if wanted not in _sessions:
        flat = {f"session.{name}": value for name, value in params.items()}
        _sessions.setdefault(wanted, Sessions({**flat, "session.beaker": True}))
    return _sessions[wanted]
