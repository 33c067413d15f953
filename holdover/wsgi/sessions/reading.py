"""A session as a mapping that is read when it is first used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, cast

from holdover import errors
from holdover.wsgi.sessions.cookie import CookieTerms
from holdover.wsgi.sessions.errors import (
    SessionTooLarge,
    SessionTooLate,
    SessionUnavailable,
)
from holdover.wsgi.sessions.fields import TrackedFields
from holdover.wsgi.sessions.moving import OldSession, OldSessions
from holdover.wsgi.sessions.record import Kept, Timeouts
from holdover.wsgi.sessions.store import SessionStore, new_id

log = logging.getLogger("holdover")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """What all sessions of an application have in common.

    Attributes:
        store: Where they are kept.
        cookie: The cookie by which they are found.
        timeouts: When they end.
        auto: Whether changes are saved without being asked to.
        raises_unavailable: Whether the first use of a session that cannot be read
            raises, rather than to give an empty one.
        now: Tells the time of day.
        old: Another library's sessions, to be taken over.
    """

    store: SessionStore
    cookie: CookieTerms
    timeouts: Timeouts
    auto: bool
    raises_unavailable: bool
    now: Callable[[], float]
    old: OldSessions | None = None


class ReadableSession(MutableMapping[str, Any]):
    """The part of a session that is read, and changed at first. See `Session`."""

    _fields: TrackedFields | None = None
    _kept: Kept | None = None
    _failure: SessionUnavailable | None = None
    _accessed = False
    _saved = False  # in this request
    _removed = False  # the browser is to forget its cookie
    _are_headers_out = False
    _is_elsewhere = False  # its cookie, than where the browser has it
    _new_id = ""
    _sent: str | None = None  # by the browser, in its cookie
    _old: OldSession | None = None  # another library's, that it sent a cookie of,
    _is_moved = False  # and that was taken over

    def __init__(self, terms: SessionTerms, cookies: str) -> None:
        self._terms = terms
        self._cookies = cookies

    def __repr__(self) -> str:
        """Tell its state, never what is in it, nor its id."""
        if self._fields is None:
            return "<Session, not read>"
        if self._failure is not None:
            return "<Session, not available>"
        return f"<Session, {'new' if self.is_new else 'stored'}>"

    # -- a mapping -------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        """Give a field's value.

        Raises:
            KeyError: There is none of that name.
        """
        return self._read().take(name)

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a field, for the time being in this request only.

        Raises:
            InvalidArgument: *name* is no text.
            SessionUnavailable: The backend cannot be asked.
        """
        if not isinstance(name, str):
            raise errors.InvalidArgument(
                f"what is kept in a session is named by texts, got {name!r}"
            )
        self._writable().put(name, value)

    def __delitem__(self, name: str) -> None:
        """Remove a field; see `__setitem__`.

        Raises:
            KeyError: There is none of that name.
            SessionUnavailable: The backend cannot be asked.
        """
        self._writable().remove(name)

    def __iter__(self) -> Iterator[str]:
        """Give the names of the fields."""
        return iter(self._read().values)

    def __len__(self) -> int:
        """Count the fields."""
        return len(self._read().values)

    def __contains__(self, name: object) -> bool:
        """Say whether there is a field of that name."""
        return name in self._read().values

    def popitem(self) -> tuple[str, Any]:
        """Remove the newest field, as of a dictionary, and give its name and value.

        Raises:
            KeyError: There is none.
            SessionUnavailable: The backend cannot be asked.
        """
        for name in reversed(self._read().values):
            return name, self.pop(name)
        raise KeyError("the session is empty")

    def has_key(self, name: object) -> bool:
        """Say whether there is a field of that name, in Beaker's words."""
        return name in self

    def copy(self) -> dict[str, Any]:
        """Give the fields as a dictionary of its own; lists in it are the session's."""
        return dict(self)

    # -- what is known of it ---------------------------------------------------

    @property
    def id(self) -> str:
        """What names it. Who knows it is let in: show it to nobody."""
        self._read()
        if self._kept is not None:
            return self._kept.id
        if not self._new_id:
            self._new_id = new_id()
        return self._new_id

    @property
    def is_new(self) -> bool:
        """Whether nothing is stored of it yet."""
        self._read()
        return self._kept is None

    @property
    def is_available(self) -> bool:
        """Whether the backend could be asked; False: it is empty and read-only."""
        self._read()
        return self._failure is None

    @property
    def created(self) -> float | None:
        """When it began, in seconds since 1970; None if it is new."""
        self._read()
        return None if self._kept is None else self._kept.record.created_at

    @property
    def last_accessed(self) -> float | None:
        """When its use was last noted (see ``touch_every``); None if it is new."""
        self._read()
        return None if self._kept is None else self._kept.record.accessed_at

    @property
    def user(self) -> str | None:
        """Who has logged in (see `bind`); None if nobody has."""
        self._read()
        return None if self._kept is None else self._kept.record.user

    @property
    def path(self) -> str:
        """Below which path its cookie is sent.

        What is assigned holds for this response only: say it in each request that may
        set or remove the cookie, and give the cookie a name without ``__Host-``.

        Raises:
            ConfigurationError: Browsers would drop the cookie.
        """
        return self._terms.cookie.path

    @path.setter
    def path(self, path: str) -> None:
        self._place(replace(self._terms.cookie, path=path))

    @property
    def domain(self) -> str | None:
        """To which subdomains too its cookie is sent; None: to none. See `path`."""
        return self._terms.cookie.domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._place(replace(self._terms.cookie, domain=domain))

    def accessed(self) -> bool:
        """Say whether this request has used it."""
        return self._accessed

    def dirty(self) -> bool:
        """Say whether there are changes that were not saved."""
        return self._fields is not None and bool(self._fields.changes())

    # -- small steps -----------------------------------------------------------

    def _place(self, cookie: CookieTerms) -> None:
        if cookie != self._terms.cookie:
            self._require_headers()
            self._terms = replace(self._terms, cookie=cookie)
            self._is_elsewhere = True

    def _read(self) -> TrackedFields:
        fields = self._fields
        return self._load() if fields is None else fields

    def _writable(self) -> TrackedFields:
        fields = self._read()
        if self._failure is not None:
            raise SessionUnavailable(str(self._failure)) from self._failure
        return fields

    def _load(self) -> TrackedFields:
        if self._are_headers_out and not self._accessed:
            raise SessionTooLate(
                "the session is used for the first time after the headers went out, "
                "which cannot say any more that this response is for one user: use it "
                "before start_response()"
            )
        self._accessed, kept = True, self._kept
        self._sent = self._terms.cookie.found_in(self._cookies)
        cookie = self._sent if kept is None else kept.cookie
        self._begin_anew()
        self._failure = None
        if kept is not None or not self._removed:
            self._begin_anew(self._found(cookie))
        return cast("TrackedFields", self._fields)

    def _found(self, cookie: str | None) -> Kept | None:
        terms = self._terms
        try:
            kept = None if cookie is None else terms.store.find(cookie, terms.now())
            return self._taken_over() if kept is None else kept
        except SessionUnavailable as failure:
            self._failure = failure
            if terms.raises_unavailable:
                self._fields = None  # so that it is not empty for who asks again
                raise
            return None

    def _taken_over(self) -> Kept | None:
        terms = self._terms
        if terms.old is None:
            return None
        now = terms.now()
        self._old = old = terms.old.found_in(self._cookies, now)
        try:
            kept = None if old is None else terms.store.take_over(old, now)
        except SessionTooLarge as error:
            log.warning("a session is not taken over: %s", error)
            kept = None
        self._is_moved = kept is not None
        return kept

    def _begin_anew(self, kept: Kept | None = None) -> None:
        """Go on with what the store has; with a new session if that is nothing."""
        self._kept, self._new_id = kept, ""
        self._fields = TrackedFields({} if kept is None else dict(kept.record.fields))

    def _require_headers(self) -> None:
        if self._are_headers_out:
            raise SessionTooLate(
                "the session needs a cookie, and the headers are out: save it before "
                "start_response()"
            )
