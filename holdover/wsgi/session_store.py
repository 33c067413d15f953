"""Where sessions are kept: in a region, under the hash of what the cookie holds."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from holdover import NO_VALUE, Lifetime, Region, errors
from holdover.wsgi.session_errors import SessionTooLarge, SessionUnavailable
from holdover.wsgi.session_record import (
    Changes,
    Kept,
    Record,
    Timeouts,
    as_data,
    from_data,
    merged,
)
from holdover.wsgi.session_users import UserIndex

T = TypeVar("T")

SAFE_CODECS = ("json", "msgpack")
_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES = 32  # 256 bits; ASVS 5.0, 7.2.3 asks for 128
_SLACK = 60.0  # seconds past its end for which a record is kept, as clocks differ


def new_id() -> str:
    """Make what names a session and cannot be guessed."""
    return secrets.token_urlsafe(_ID_BYTES)


class SessionStore(Protocol):
    """Where sessions are kept. What a method is told to store is stored on return.

    Every method raises `SessionUnavailable` if that is unknown, and the writing ones
    `SessionTooLarge`.

    Attributes:
        needs_cookie: Whether whatever is stored has to reach the browser.
        users: Whose sessions there are; None if this store cannot tell.
    """

    needs_cookie: bool
    users: UserIndex | None

    def find(self, cookie: str, now: float) -> Kept | None:
        """Find a session by what its cookie holds; None if there is none, or no more.

        What is not the store's own is never adopted.
        """

    def create(self, id: str, record: Record) -> Kept:  # noqa: A002 - the field's name
        """Store a new session."""

    def update(self, kept: Kept, changes: Changes, now: float) -> Kept | None:
        """Lay *changes* over what is stored now; None if the session has ended."""

    def replace(
        self, kept: Kept, id: str, changes: Changes, now: float, user: str | None  # noqa: A002
    ) -> Kept | None:
        """Move a session to another *id*, and remove it from under its old one.

        Args:
            kept: The session.
            id: The new one.
            changes: What is to change with it.
            now: The instant.
            user: Who has just logged in, if anybody has; the session begins anew.

        Returns:
            None if the session has ended.
        """

    def remove(self, cookie: str, kept: Kept | None) -> None:
        """Remove a session at once; *kept* is what is known of it."""


class RegionStore:
    """Sessions as records in a region.

    A record's key is the SHA-256 of the session's id, so that a copy of the store is
    not a set of cookies. Saving is a compare-and-set that lays a request's changes
    over what is there by then; what is gone stays gone.

    Args:
        region: A region on a backend of Holdover, whose codec runs no code.
        timeouts: When sessions end.
    """

    needs_cookie = False

    def __init__(self, region: Region, timeouts: Timeouts) -> None:
        self._region = region
        self._timeouts = timeouts
        self._lifetime = _lifetime(timeouts)
        self._is_checked = region.is_configured and check_region(region)
        self.users: UserIndex | None = UserIndex(region, timeouts)

    def find(self, cookie: str, now: float) -> Kept | None:
        """See `SessionStore.find`."""
        if _ID.fullmatch(cookie) is None:
            return None
        if not self._is_checked:
            self._is_checked = check_region(self._region)
        key = _key(cookie)
        record = self._read(key, now)
        return None if record is None else Kept(cookie, key, cookie, record)

    def create(self, id: str, record: Record) -> Kept:  # noqa: A002 - the field's name
        """See `SessionStore.create`."""
        if not self._is_checked:
            self._is_checked = check_region(self._region)
        key = _key(id)
        tags = self._listed(record, key)
        _asked(
            self._region.set,
            key,
            as_data(record),
            lifetime=self._lifetime,
            tags=tags,
            strict=True,
        )
        return Kept(id, key, id, record)

    def update(self, kept: Kept, changes: Changes, now: float) -> Kept | None:
        """See `SessionStore.update`."""
        made: list[Record] = []

        def lay_over(data: object) -> object:
            record = from_data(data)
            if record is None or self._timeouts.have_ended(record, now):
                raise _Ended
            made[:] = [merged(record, changes, now)]
            return as_data(made[0])

        try:
            stored = _asked(
                self._region.change, kept.key, lay_over, lifetime=self._lifetime
            )
        except _Ended:
            return None
        return None if stored is NO_VALUE else kept._replace(record=made[0])

    def replace(
        self, kept: Kept, id: str, changes: Changes, now: float, user: str | None  # noqa: A002
    ) -> Kept | None:
        """See `SessionStore.replace`."""
        record = self._read(kept.key, now)
        if record is None:
            return None
        made = self.create(id, begun_anew(merged(record, changes, now), user, now))
        self.remove(kept.cookie, kept._replace(record=record))
        return made

    def remove(self, cookie: str, kept: Kept | None) -> None:
        """See `SessionStore.remove`."""
        key = kept.key if kept is not None else _key(cookie)
        _asked(self._region.delete, key, strict=True)
        if kept is not None and kept.record.user is not None and self.users is not None:
            _asked(self.users.forget, kept.record.user, key)

    def _read(self, key: str, now: float) -> Record | None:
        data = _asked(self._region.get, key, strict=True)
        record = None if data is NO_VALUE else from_data(data)
        if record is None or self._timeouts.have_ended(record, now):
            return None
        return record

    def _listed(self, record: Record, key: str) -> tuple[str, ...]:
        """List a session with its user's others; give the tags that it is to carry."""
        if record.user is None or self.users is None:
            return ()
        # Before it is stored: one that is listed and not there does no harm.
        _asked(self.users.note, record.user, key, record.created_at)
        return (self.users.tag(record.user),)


class _Ended(Exception):  # noqa: N818 - it ends a change, and is no error
    """A record's time was over when it was to be changed."""


def begun_anew(record: Record, user: str | None, now: float) -> Record:
    """Bind a *user* who has just logged in; None leaves the record as it is."""
    if user is None:
        return record
    return record._replace(user=user, created_at=now)


def check_region(region: Region) -> bool:
    """Refuse a region that sessions must not be kept in.

    Raises:
        ConfigurationError: It says why.
    """
    if region.codec not in SAFE_CODECS:
        raise errors.ConfigurationError(
            f"region {region.name!r} must keep sessions by codec="
            f"{' or codec='.join(map(repr, SAFE_CODECS))}, on a backend of Holdover; "
            f"its codec is {region.codec!r}. Who can write where pickles are kept can "
            "run code here, and objects in memory would be shared by requests"
        )
    return True


def _key(id: str) -> str:  # noqa: A002 - the field's name
    return hashlib.sha256(id.encode()).hexdigest()


def _lifetime(timeouts: Timeouts) -> Lifetime:
    """Say how long the store keeps a record; its end is judged by what is in it."""
    spans = [span for span in (timeouts.idle, timeouts.absolute) if span is not None]
    return Lifetime(
        expiration_time=min(spans) + _SLACK if spans else None,
        stale_while_revalidate=0,
        keep_for=0,
    )


def _asked(operation: Callable[..., T], *args: Any, **kw: Any) -> T:
    """Ask the region, and say in this door's words what went wrong."""
    try:
        return operation(*args, **kw)
    except errors.ValueTooLarge as error:
        raise SessionTooLarge(f"the session does not fit: {error}") from error
    except errors.BackendError as error:
        raise SessionUnavailable(f"sessions cannot be reached: {error}") from error
