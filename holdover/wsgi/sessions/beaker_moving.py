"""Beaker's sessions, found by Beaker's cookies, to be taken over one by one."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from holdover.wsgi.sessions.beaker_data import BeakerData, proved, record_of
from holdover.wsgi.sessions.cookie import LARGEST_COOKIE, CookieTerms
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.record import Record

log = logging.getLogger("holdover")

_ID = re.compile(r"[0-9a-f]{32}")  # a UUID, as Beaker makes them
_RESTS_FOR = 5.0  # seconds after a failure, in which nobody else has to wait


class BeakerStore(Protocol):
    """Where Beaker keeps sessions. Nothing that is there is believed, or run."""

    def read(self, session_id: str) -> Any:
        """Give what Beaker has written of a session; None if nothing is there.

        Raises:
            SessionUnavailable: Nobody can tell, or not within seconds.
            ValueError: It is nothing of Beaker's, or too large.
        """

    def remove(self, session_id: str) -> None:
        """Remove a session; one that is not there is no error.

        Raises:
            SessionUnavailable: It may be there still.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BeakerMoving:
    """Finds Beaker's sessions; made by `BeakerSessions`.

    Attributes:
        store: Where they are kept; None: in their cookies.
        cookie: The cookie by which they are found.
        signed_by: By what Beaker has signed ids or cookies; None if it has not.
        data: How they are written.
        leave_out: Names of fields that may get lost.
        timeout: Seconds without use after which one is over; None: no bound.
    """

    store: BeakerStore | None
    cookie: CookieTerms
    signed_by: str | None
    data: BeakerData
    leave_out: Collection[str]
    timeout: float | None

    @property
    def cookie_name(self) -> str:
        """See `OldSessions`."""
        return self.cookie.name

    @property
    def removed(self) -> str:
        """See `OldSessions`."""
        return self.cookie.removed()

    def found_in(self, header: str, now: float) -> BeakerSession | None:
        """See `OldSessions.found_in`. What is not signed is not looked at."""
        value = self.cookie.found_in(header)
        if value is None or len(value) > LARGEST_COOKIE:
            return None
        value = value.strip('"')
        if self.signed_by is not None:
            proven = proved(value, self.signed_by)
            if proven is None:
                return None
            value = proven
        if self.store is not None:
            known = _ID.fullmatch(value) is not None
            return BeakerSession(self, value, now) if known else None
        data = self.opened(value)
        return None if data is None else BeakerSession(self, value, now, data)

    def opened(self, written: object) -> dict[str, Any] | None:
        """Read what Beaker has written; None if we cannot, which the log tells."""
        try:
            return self.data.read(written)
        except ValueError as error:
            log.warning("a session of Beaker's cannot be read: %s", error)
            return None

    def record(self, data: Mapping[str, Any], now: float) -> Record | None:
        """Make a record of a session; None if it is over, or cannot be kept."""
        try:
            record = record_of(data, self.leave_out, now)
        except ValueError as error:
            log.warning("a session of Beaker's is not taken over: %s", error)
            return None
        is_over = self.timeout is not None and now - record.accessed_at > self.timeout
        return None if is_over else record


class BeakerSession:
    """One session of Beaker's.

    Args:
        among: Those that it is one of.
        value: What its cookie has: its id, or itself.
        now: The instant at which it is looked at.
        data: What was in its cookie.
    """

    def __init__(
        self,
        among: BeakerMoving,
        value: str,
        now: float,
        data: dict[str, Any] | None = None,
    ) -> None:
        self._among = among
        self._value = value
        self._now = now
        self._data = data

    @property
    def token(self) -> str:
        """See `OldSession`.

        Beaker seals a cookie anew with each response, so each copy is another text.
        What names the session is in all of them.
        """
        own_id = None if self._data is None else self._data.get("_id")
        if isinstance(own_id, str) and _ID.fullmatch(own_id) is not None:
            return own_id
        return hashlib.sha256(self._value.encode()).hexdigest()

    def read(self) -> Record | None:
        """See `OldSession.read`."""
        data = self._data
        if data is None and self._among.store is not None:
            try:
                written = self._among.store.read(self._value)
            except ValueError as error:
                log.warning("a session of Beaker's cannot be read: %s", error)
                return None
            data = None if written is None else self._among.opened(written)
        return None if data is None else self._among.record(data, self._now)

    def remove(self) -> None:
        """See `OldSession.remove`; if it cannot be done, the log tells."""
        if self._among.store is None:
            return
        try:
            self._among.store.remove(self._value)
        except SessionUnavailable as error:
            log.warning(
                "a session of Beaker's was taken over, and stays where it was: %s",
                error,
            )


class RestingStore:
    """A store that is left alone for seconds after it has failed.

    So that one that is down costs a few requests their patience, not all of them.

    Args:
        store: The store.
    """

    def __init__(self, store: BeakerStore) -> None:
        self._store = store
        self._failure: SessionUnavailable | None = None
        self._rests_until = 0.0

    def read(self, session_id: str) -> Any:
        """See `BeakerStore.read`."""
        failure = self._failure
        if failure is not None and time.monotonic() < self._rests_until:
            raise SessionUnavailable(str(failure)) from failure
        try:
            found = self._store.read(session_id)
        except SessionUnavailable as error:
            self._rests_until = time.monotonic() + _RESTS_FOR
            self._failure = error
            raise
        self._failure = None
        return found

    def remove(self, session_id: str) -> None:
        """See `BeakerStore.remove`."""
        self._store.remove(session_id)
