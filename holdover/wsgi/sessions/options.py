"""What sessions can be told, and how it is read from a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from holdover import Region, errors, make_region
from holdover.regions.errors import unknown
from holdover.regions.lifetime import seconds, seconds_or_none
from holdover.wsgi.flat_options import (
    SESSION,
    Names,
    below,
    put_once,
    read_as,
    types_of,
)
from holdover.wsgi.sessions.beaker import translated
from holdover.wsgi.sessions.beaker_import import BeakerSessions, read_import
from holdover.wsgi.sessions.cookie import (
    LONGEST_COOKIE,
    CookieTerms,
    SameSite,
    default_name,
)
from holdover.wsgi.sessions.moving import OldSessions
from holdover.wsgi.sessions.record import Timeouts

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

COOKIE = "cookie"
_MIGRATE = "migrate."
_TOUCHES = 20  # in an idle timeout
_TRUTHS = ("auto", "beaker", "secure")
_CALLED = ("is_revoked", "now", "on_unavailable")


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What `Sessions` and `SessionMiddleware` can be told.

    Spans are seconds (``timedelta`` is accepted).

    Attributes:
        store: Where sessions are kept: a region's URL ("redis://localhost/0"), a
            `Region` with ``codec="json"`` or "msgpack", or "cookie".
        codec: How the region of a URL keeps them: "json" or "msgpack".
        secret: For ``store="cookie"``: at least 32 bytes, or a list of such, newest
            first, of which the first seals and each opens.
        app_id: Tells applications apart that share a secret, or a URL.
        is_revoked: For ``store="cookie"``: called with a session's id, its user and
            when it began; says whether it was ended before its time.
        idle_timeout: Seconds without use after which a session ends; None: no bound.
        absolute_timeout: Seconds after which it ends in any case; None: no bound.
        touch_every: Seconds for which the note of its last use may be behind, by which
            it may end early; None: a twentieth of *idle_timeout*.
        auto: Whether changes are saved without a call of ``save()``.
        on_unavailable: A WSGI application that answers in place of one that uses a
            session while the backend cannot be asked; None: the session is empty.
        cookie_name: By default "__Host-session", if the other options allow it.
        cookie_domain: To which subdomains too the cookie is sent; None: to none.
        cookie_path: Below which path it is sent.
        cookie_expires: True: browsers forget it when they are closed; False: they keep
            it as long as they may; or for how many seconds, or until when, they do.
        secure: False sends cookies over plain HTTP: for development.
        samesite: "Lax", "Strict" or "None".
        beaker: Whether ``environ["beaker.session"]`` is the session, too.
        webtest_varname: Under which name WebTest's responses have the session; for
            tests.
        migrate: Sessions of Beaker's that are taken over: a `BeakerSessions`, or a
            mapping of Beaker's options.
        now: Tells the time of day; for tests.
    """

    store: Region | str = field(default="memory://", repr=False)  # may have a password
    codec: str = "json"
    secret: str | bytes | list[str] | list[bytes] | None = field(
        default=None, repr=False
    )
    app_id: str = ""
    is_revoked: Callable[[str, str | None, float], bool] | None = None
    idle_timeout: float | timedelta | None = 3600.0
    absolute_timeout: float | timedelta | None = 86_400.0
    touch_every: float | timedelta | None = None
    auto: bool = False
    on_unavailable: WSGIApplication | None = None
    cookie_name: str | None = None
    cookie_domain: str | None = None
    cookie_path: str = "/"
    cookie_expires: bool | float | timedelta | datetime = True
    secure: bool = True
    samesite: SameSite = "Lax"
    beaker: bool = False
    webtest_varname: str | None = None
    migrate: BeakerSessions | Mapping[str, Any] | None = field(default=None, repr=False)
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        for name in _TRUTHS:
            is_truth = isinstance(getattr(self, name), bool)
            self._check(name, "True or False", is_right=is_truth)
        for name in _CALLED:
            given = getattr(self, name)
            is_callable = callable(given) or (given is None and name != "now")
            self._check(name, "something to be called", is_right=is_callable)
        self._check("app_id", "a text", is_right=isinstance(self.app_id, str))
        if self.is_revoked is not None and self.store != COOKIE:
            raise errors.ConfigurationError(
                "is_revoked has no effect: what a region keeps is ended there, by "
                "end_all(); remove it"
            )

    def timeouts(self) -> Timeouts:
        """Check and give when sessions end.

        Raises:
            ConfigurationError: A span is none, or sessions in use would end.
        """
        idle = seconds_or_none(self.idle_timeout, "idle_timeout")
        absolute = seconds_or_none(self.absolute_timeout, "absolute_timeout")
        if self.touch_every is not None:
            every = seconds(self.touch_every, "touch_every", zero=True)
        else:
            every = (idle or 0.0) / _TOUCHES
        if idle is not None and every >= idle:
            raise errors.ConfigurationError(
                f"touch_every must be less than idle_timeout, got {every:g} and "
                f"{idle:g}: a session in use would end"
            )
        return Timeouts(idle, absolute, every)

    def cookie(self) -> CookieTerms:
        """Check and give the terms of the cookie.

        Raises:
            ConfigurationError: Browsers would drop it.
            InvalidLifetime: *cookie_expires* is nothing of the kind.
        """
        name = default_name(
            secure=self.secure, domain=self.cookie_domain, path=self.cookie_path
        )
        return CookieTerms(
            name=name if self.cookie_name is None else self.cookie_name,
            domain=self.cookie_domain,
            path=self.cookie_path,
            expires=_expires(self.cookie_expires, self.now()),
            secure=self.secure,
            samesite=self.samesite,
        )

    def region(self) -> Region:
        """Give the region that keeps the sessions; made from a URL if need be.

        Raises:
            ConfigurationError: The URL is wrong.
        """
        if isinstance(self.store, Region):
            return self.store
        name = f"sessions-{self.app_id}" if self.app_id else "sessions"
        return make_region(name).configure(self.store, codec=self.codec)

    def old_sessions(self) -> OldSessions | None:
        """Check what is to be taken over, and give what finds it.

        Raises:
            ConfigurationError: One of Beaker's options is wrong.
        """
        given = read_import(self.migrate)
        return None if given is None else given.moving()

    def secrets(self) -> list[str | bytes]:
        """Give the secrets, newest first.

        Raises:
            ConfigurationError: They are something else.
        """
        given = self.secret
        if given is None:
            return []
        if isinstance(given, str | bytes):
            return [given]
        is_list = isinstance(given, list | tuple)
        self._check("secret", "a text, or a list of them", is_right=is_list)
        return list(given)

    def _check(self, name: str, wanted: str, *, is_right: bool) -> None:
        if not is_right:
            found = type(getattr(self, name)).__name__
            raise errors.ConfigurationError(f"{name} must be {wanted}, got a {found}")


def _expires(given: object, now: float) -> float | datetime | None:
    if given is True:
        return None
    if given is False:
        return float(LONGEST_COOKIE)
    if isinstance(given, datetime):
        return _instant(given, now)
    return seconds(given, "cookie_expires")


def _instant(given: datetime, now: float) -> datetime:
    """Take an instant that can be told to browsers, and is still to come."""
    with suppress(OverflowError, ValueError):  # one at the end of all calendars
        until = given.astimezone(UTC)
        if until.timestamp() > now:
            return until
    raise errors.ConfigurationError(
        f"cookie_expires must be still to come, got {given}: browsers drop others"
    )


# -- from a mapping ------------------------------------------------------------


def read_options(config: Mapping[str, Any]) -> SessionOptions:
    """Read the options of a mapping: our names, or flat keys as an ini file has them.

    Args:
        config: `SessionOptions` by name; or by keys that begin with "session." or
            "beaker.session.", whose values may be texts, and in Beaker's spelling.

    Raises:
        ConfigurationError: An option is unknown, given twice, wrong, or one of
            Beaker's that is unsafe or has no counterpart.
    """
    flat = _flat(config)
    names = flat or {name: (name, value) for name, value in config.items()}
    types = types_of(SessionOptions, WSGIApplication=Callable[..., Any])
    found = {}
    for name, (key, value) in translated(names).items():
        if name not in types:
            prefix = key.removesuffix(name)
            known = [f"{prefix}{one}" for one in types]
            raise errors.ConfigurationError(unknown("option", key, known))
        found[name] = read_as(types[name], value, key) if flat else value
    return SessionOptions(**found)


def _flat(config: Mapping[str, Any]) -> Names:
    """Give what stands under one of the prefixes, and Beaker's own options as one."""
    found = below(config, SESSION)
    old = {
        name.removeprefix(_MIGRATE): found.pop(name)[1]
        for name in list(found)
        if name.startswith(_MIGRATE)
    }
    if old:
        put_once(found, "migrate", f"{SESSION[0]}{_MIGRATE}*", old)
    return found
