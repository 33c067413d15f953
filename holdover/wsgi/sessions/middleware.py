"""Sessions for WSGI applications, and for whatever else has cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from holdover import errors
from holdover.regions.warnings import warn_caller
from holdover.wsgi.checking import check_middleware
from holdover.wsgi.files import is_file
from holdover.wsgi.sessions.errors import InsecureSessionWarning, SessionUnavailable
from holdover.wsgi.sessions.options import COOKIE, SessionOptions, read_options
from holdover.wsgi.sessions.reading import SessionTerms
from holdover.wsgi.sessions.session import Session
from holdover.wsgi.sessions.store import RegionStore, SessionStore
from holdover.wsgi.sessions.users import UserIndex, UserSession

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

S = TypeVar("S", bound=Session)
ENVIRON_KEY = "holdover.session"
_FOR_TESTS = "paste.testing_variables"  # where WebTest looks
_WHOLE = (list, tuple)  # bodies that nobody goes on making


class Sessions:
    """The sessions of an application.

    With a web server, `SessionMiddleware` opens them. Without one::

        sessions = Sessions({"store": "redis://localhost/0"})
        session = sessions.open({"__Host-session": "..."})
        session["visits"] = session.get("visits", 0) + 1
        session.save()
        print("Set-Cookie:", session.set_cookie)

    Args:
        config: See `SessionOptions`; also flat keys that begin with "session." or
            "beaker.session.", as an ini file has them.

    Attributes:
        options: What it was told.
        terms: What a subclass of `Session` is made with.

    Raises:
        ConfigurationError: An option is wrong; the message names it.
    """

    def __init__(
        self, config: SessionOptions | Mapping[str, Any] | None = None
    ) -> None:
        self.options = options = _options(config)
        cookie, timeouts = options.cookie(), options.timeouts()
        if not options.secure:
            warn_caller(
                "secure=False: session cookies are sent over plain HTTP, where whoever "
                "is on the way can take them; for development only",
                InsecureSessionWarning,
            )
        store: SessionStore
        if options.store == COOKIE:
            store = _sealed(options, cookie.name)
        else:
            store = RegionStore(options.region(), timeouts)
        self.terms = SessionTerms(
            store=store,
            cookie=cookie,
            timeouts=timeouts,
            auto=options.auto,
            raises_unavailable=options.on_unavailable is not None,
            now=options.now,
            old=options.old_sessions(),
        )

    def open(self, cookies: Mapping[str, str] | str = "") -> Session:
        """Give the session of a request; nothing is read before it is used.

        Args:
            cookies: The request's cookies by name, its Cookie header, or its environ.
        """
        return self.open_as(Session, cookies)

    def open_as(self, kind: type[S], cookies: Mapping[str, str] | str = "") -> S:
        """Do as `open`, but give a session of a class of one's own.

        Args:
            kind: A subclass of `Session` that is made as that is.
            cookies: See `open`.
        """
        if isinstance(cookies, str):
            return kind(self.terms, cookies)
        if "HTTP_COOKIE" in cookies or "wsgi.version" in cookies:
            return kind(self.terms, cookies.get("HTTP_COOKIE", ""))
        names = [self.terms.cookie.name]
        if self.terms.old is not None:
            names.append(self.terms.old.cookie_name)
        sent = [f"{name}={cookies[name]}" for name in names if name in cookies]
        return kind(self.terms, "; ".join(sent))

    def of_user(self, user: str) -> list[UserSession]:
        """Give a user's sessions, the newest first; see `Session.bind`.

        Raises:
            ConfigurationError: Sessions are kept in cookies.
            SessionUnavailable: The backend cannot be asked.
        """
        return self._users.sessions_of(user, self.terms.now())

    def end_all(self, user: str, *, except_: Session | None = None) -> None:
        """End all sessions of a user, everywhere, at once: after a change of password.

        Args:
            user: See `Session.bind`.
            except_: One of them that goes on, under a new id.

        Raises:
            ConfigurationError: Sessions are kept in cookies.
            InvalidArgument: *except_* is another's.
            SessionUnavailable: The backend cannot be asked; maybe none has ended.
        """
        users = self._users
        if except_ is None:
            users.end_all(user)
            return
        if except_.user != user:
            raise errors.InvalidArgument(f"except_ is no session of {user!r}")
        record = except_.withdraw()
        users.end_all(user)
        if record is not None:
            except_.restore(record)

    @property
    def _users(self) -> UserIndex:
        users = self.terms.store.users
        if users is None:
            raise errors.ConfigurationError(
                "sessions in cookies are nowhere listed: keep them in a region, or end "
                "them with is_revoked"
            )
        return users


class SessionMiddleware:
    """Puts the session of each request into its environ.

    ::

        def app(environ, start_response):
            session = environ["holdover.session"]
            session["visits"] = session.get("visits", 0) + 1
            session.save()
            ...

        app = SessionMiddleware(app, {"store": "redis://localhost/0"})

    A response that depends on a session says ``Vary: Cookie`` and at least
    ``Cache-Control: private``; the cookie is set when it has to be.

    Args:
        app: The application.
        config: `Sessions`, or what it takes.
        environ_key: Where in the environ the session is put. With the option
            ``beaker`` it is also ``beaker.session``, and ``beaker.get_session`` gives
            one that has no cookie.

    Attributes:
        sessions: The sessions, for `Sessions.end_all` and its like.

    Raises:
        ConfigurationError: An argument is wrong; the message names the option.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Sessions | SessionOptions | Mapping[str, Any] | None = None,
        *,
        environ_key: str = ENVIRON_KEY,
    ) -> None:
        check_middleware(app, environ_key)
        self._app = app
        self.sessions = config if isinstance(config, Sessions) else Sessions(config)
        self._environ_key = environ_key
        self._instead = self.sessions.options.on_unavailable
        self._beaker = self.sessions.options.beaker
        self._webtest_name = self.sessions.options.webtest_varname

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request as the application does, which finds its session."""
        session = self.sessions.open(environ.get("HTTP_COOKIE", ""))
        environ[self._environ_key] = session
        if self._beaker:
            environ["beaker.session"] = session
            environ["beaker.get_session"] = self.sessions.open
        if self._webtest_name and _FOR_TESTS in environ:
            environ[_FOR_TESTS][self._webtest_name] = session
        started = []

        def respond(status, headers, *exc_info):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002, ANN202
            answered = start_response(status, session.respond(headers), *exc_info)
            started.append(True)
            return answered

        try:
            body = self._app(environ, respond)
        except SessionUnavailable:
            if self._instead is None or started:
                raise
            return self._instead(environ, start_response)
        return finished(body, session, environ)


def finished(
    body: Iterable[bytes], session: Session, environ: WSGIEnvironment
) -> Iterable[bytes]:
    """Have the session finished when the body is."""
    if not isinstance(body, _WHOLE) and not is_file(body, environ):
        return _Body(body, session.finish)
    session.finish()
    return body


class _Body:
    """A body that is made while it is sent, and may use the session until its end."""

    def __init__(self, body: Iterable[bytes], finish: Callable[[], None]) -> None:
        self._body = body
        self._finish = finish
        self._has_failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            # Not "yield from", which would close the body a second time.
            for part in self._body:  # noqa: UP028
                yield part
        except Exception:
            self._has_failed = True
            raise

    def close(self) -> None:
        """Close what the application gave, whatever becomes of the session."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            if not self._has_failed:
                self._finish()


def service_unavailable(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer 503: for ``on_unavailable``."""
    start_response(
        "503 Service Unavailable",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Retry-After", "5"),
        ],
    )
    return [b"Sessions are not available right now. Try again in a moment.\n"]


def saving_sessions(config: Sessions | SessionOptions | Mapping[str, Any]) -> Sessions:
    """Give the sessions of a framework that does not call ``save()``.

    Raises:
        ConfigurationError: An option is wrong, or they were made without ``auto``.
    """
    if not isinstance(config, Sessions):
        return Sessions(replace(_options(config), auto=True))
    if not config.options.auto:
        raise errors.ConfigurationError(
            "sessions that nobody saves need auto=True, got Sessions without it"
        )
    return config


def _options(config: object) -> SessionOptions:
    if config is None:
        return SessionOptions()
    if isinstance(config, SessionOptions):
        return config
    if isinstance(config, Mapping):
        return read_options(config)
    raise errors.ConfigurationError(
        f"config must be a mapping of options, or Sessions, got {type(config).__name__}"
    )


def _sealed(options: SessionOptions, name: str) -> SessionStore:
    try:
        from holdover.wsgi.sessions.sealed import SealedStore  # noqa: PLC0415
    except ImportError as error:
        raise errors.MissingDependency(
            "sessions in cookies need cryptography: pip install 'holdover[sessions]'"
        ) from error
    return SealedStore(
        options.secrets(),
        name=name,
        app_id=options.app_id,
        timeouts=options.timeouts(),
        is_revoked=options.is_revoked,
    )
