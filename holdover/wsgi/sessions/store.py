"""Where sessions are kept: in a region, under the hash of what the cookie holds."""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import suppress
from typing import Protocol

from holdover import Held, Lifetime, Region, errors
from holdover.wsgi.sessions.asking import asked
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.moving import Moves, OldSession
from holdover.wsgi.sessions.record import (
    Changes,
    Kept,
    Record,
    Timeouts,
    as_data,
    from_data,
    merged,
)
from holdover.wsgi.sessions.users import UserIndex

SAFE_CODECS = ("json", "msgpack")
_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES = 32  # 256 bits; ASVS 5.0, 7.2.3 asks for 128
_TRIES = 1000  # against others who change the same session
_KEPT_CHANGING = "the session kept changing"
_NO_RECORD: list[object] = []
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

    def create(self, session_id: str, record: Record) -> Kept:
        """Store a new session."""

    def update(self, kept: Kept, changes: Changes, now: float) -> Kept | None:
        """Lay *changes* over what is stored now; None if the session has ended."""

    def replace(
        self,
        kept: Kept,
        session_id: str,
        changes: Changes,
        now: float,
        user: str | None,
    ) -> Kept | None:
        """Move a session to another id, and remove it from under its old one.

        Args:
            kept: The session.
            session_id: The new one.
            changes: What is to change with it.
            now: The instant.
            user: Who has just logged in, if anybody has; the session begins anew.

        Returns:
            None if the session has ended.
        """

    def withdraw(self, kept: Kept, changes: Changes, now: float) -> Record | None:
        """Take a session out, in one step; give its record, with *changes*.

        Returns:
            None if the session has ended.
        """

    def remove(self, cookie: str, kept: Kept | None) -> None:
        """Remove a session at once; *kept* is what is known of it."""

    def take_over(self, old: OldSession, now: float) -> Kept | None:
        """Move another library's session here, under a new id.

        Returns:
            None if there is none, or if it was taken over before.
        """


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
        self._users = UserIndex(region, timeouts)
        self.users: UserIndex | None = self._users
        self._moves = Moves(region, self._lifetime)

    def find(self, cookie: str, now: float) -> Kept | None:
        """See `SessionStore.find`."""
        if _ID.fullmatch(cookie) is None:
            return None
        if not self._is_checked:
            self._is_checked = check_region(self._region)
        key = _key(cookie)
        held = self._held(key, now)
        if held is None:
            return None
        return Kept(cookie, key, cookie, *held)

    def create(self, session_id: str, record: Record) -> Kept:
        """See `SessionStore.create`."""
        if not self._is_checked:
            self._is_checked = check_region(self._region)
        key = _key(session_id)
        tags = self._listed(record, key)
        asked(
            self._region.set,
            key,
            as_data(record),
            lifetime=self._lifetime,
            tags=tags,
            strict=True,
        )
        return Kept(session_id, key, session_id, record)

    def update(self, kept: Kept, changes: Changes, now: float) -> Kept | None:
        """See `SessionStore.update`."""
        found = kept.held and (kept.record, kept.held)
        for _ in range(_TRIES):
            found = found or self._held(kept.key, now)
            if found is None:
                return None
            record = merged(found[0], changes, now)
            held = asked(found[1].replace, as_data(record), lifetime=self._lifetime)
            if held is not None:
                return kept._replace(record=record, held=held)
            found = None
        raise SessionUnavailable(_KEPT_CHANGING)

    def replace(
        self,
        kept: Kept,
        session_id: str,
        changes: Changes,
        now: float,
        user: str | None,
    ) -> Kept | None:
        """See `SessionStore.replace`."""
        for _ in range(_TRIES):
            found = self._held(kept.key, now)
            if found is None:
                return None
            record = merged(found[0], changes, now)
            # Nobody knows the new id yet. It leads on only if the old record is still
            # what was copied: a save would be lost, and a logout undone.
            made = self.create(session_id, begun_anew(record, user, now))
            has_moved = False
            try:
                has_moved = self._gave_up(kept, *found)
            finally:
                if not has_moved:
                    self.remove(made.cookie, made)
            if has_moved:
                return made
        raise SessionUnavailable(_KEPT_CHANGING)

    def withdraw(self, kept: Kept, changes: Changes, now: float) -> Record | None:
        """See `SessionStore.withdraw`."""
        for _ in range(_TRIES):
            found = self._held(kept.key, now)
            if found is None:
                return None
            if self._gave_up(kept, *found):
                return merged(found[0], changes, now)
        raise SessionUnavailable(_KEPT_CHANGING)

    def remove(self, cookie: str, kept: Kept | None) -> None:
        """See `SessionStore.remove`."""
        if kept is None:
            if _ID.fullmatch(cookie) is not None:
                asked(self._region.delete, _key(cookie), strict=True)
            return
        asked(self._region.delete, kept.key, strict=True)
        user = kept.record.user
        if user is not None:
            with suppress(SessionUnavailable):  # whoever lists them looks again
                self._users.forget(user, kept.key)

    def take_over(self, old: OldSession, now: float) -> Kept | None:
        """See `SessionStore.take_over`."""
        if not self._is_checked:
            self._is_checked = check_region(self._region)
        moved = self._moves.find(old.token)
        if moved is None:
            made = self._moved_here(old, now)
            if made is not None:
                return made
            moved = self._moves.find(old.token)  # another request may have been faster
        if moved is None or not moved.leads(now):
            return None
        old.remove()  # whoever noted the move may have been killed before
        return self.find(moved.session_id, now)

    def _moved_here(self, old: OldSession, now: float) -> Kept | None:
        record = old.read()
        if record is None or self._timeouts.have_ended(record, now):
            return None
        # Stored before it is noted: a note never leads to what is not there yet.
        made = self.create(new_id(), record)
        if not self._moves.note(old.token, made.id, now):
            self.remove(made.cookie, made)
            return None
        old.remove()
        return made

    def _held(self, key: str, now: float) -> tuple[Record, Held] | None:
        held = asked(self._region.hold, key)
        record = None if held is None else from_data(held.value)
        if held is None or record is None or self._timeouts.have_ended(record, now):
            return None
        return record, held

    def _gave_up(self, kept: Kept, record: Record, held: Held) -> bool:
        """Remove a record if it is still what was read; False if it was not."""
        if asked(held.replace, _NO_RECORD, lifetime=self._lifetime) is None:
            return False
        # The end of all of a user's sessions leaves records as they are, and unread.
        has_ended = asked(self._region.hold, kept.key) is None
        with suppress(SessionUnavailable):  # what stands there now leads nowhere
            self.remove(kept.cookie, kept._replace(record=record))
        return not has_ended

    def _listed(self, record: Record, key: str) -> tuple[str, ...]:
        """List a session with its user's others; give the tags that it is to carry."""
        if record.user is None:
            return ()
        # Before it is stored: one that is listed and not there does no harm.
        self._users.note(record.user, key, record.created_at)
        return (self._users.tag(record.user),)


def begun_anew(record: Record, user: str | None, now: float) -> Record:
    """Bind a *user* who has just logged in; None leaves the record as it is.

    What another user had in the session is not for him.
    """
    if user is None:
        return record
    fields = record.fields if record.user in (None, user) else {}
    return record._replace(fields=fields, user=user, created_at=now)


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


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _lifetime(timeouts: Timeouts) -> Lifetime:
    """Say how long the store keeps a record; its end is judged by what is in it."""
    spans = [span for span in (timeouts.idle, timeouts.absolute) if span is not None]
    return Lifetime(
        expiration_time=min(spans) + _SLACK if spans else None,
        stale_while_revalidate=0,
        keep_for=0,
    )
