"""Sessions of another library that are taken over, each of them once.

The old id is never one of ours. A note says that it is spent, and is kept for as long
as what stood under it could have lasted; for a moment it also leads to the new session,
so that a page that asks for five things at once gets five answers for the same visitor.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from holdover import NO_VALUE, Lifetime, Region
from holdover.wsgi.sessions.asking import asked
from holdover.wsgi.sessions.record import Record

_FORM = 1  # of a note,
_PARTS = 3  # which has so many
_LEADS_FOR = 30.0  # seconds: for requests that set out before the new cookie came


class OldSession(Protocol):
    """Another library's session that a browser's cookie speaks of."""

    @property
    def token(self) -> str:
        """What names it there, and is known to its browser only."""

    def read(self) -> Record | None:
        """Give what it holds; None if there is nothing, or nothing that can be used.

        Raises:
            SessionUnavailable: Nobody can tell.
        """

    def remove(self) -> None:
        """Remove it from where it is kept, if that can be done."""


class OldSessions(Protocol):
    """Another library's sessions."""

    @property
    def cookie_name(self) -> str:
        """The name of their cookie."""

    @property
    def removed(self) -> str:
        """The Set-Cookie header by which browsers forget their cookie."""

    def found_in(self, header: str, now: float) -> OldSession | None:
        """Give the session of a Cookie header; None unless it is proved to be one."""


@dataclass(frozen=True, slots=True)
class Move:
    """A session that was taken over.

    Attributes:
        session_id: Its new id.
        at: When; seconds since 1970.
    """

    session_id: str = field(repr=False)  # who knows it is let in
    at: float

    def leads(self, now: float) -> bool:
        """Say whether the old cookie still leads to the session."""
        return now - self.at < _LEADS_FOR


class Moves:
    """The notes of what was taken over, in the region that keeps the sessions.

    Args:
        region: The region.
        lifetime: How long sessions are kept.
    """

    def __init__(self, region: Region, lifetime: Lifetime) -> None:
        self._region = region
        self._lifetime = lifetime

    def find(self, token: str) -> Move | None:
        """Tell where an old session has gone; None if it is still where it was.

        Raises:
            SessionUnavailable: The backend cannot be asked.
        """
        data = asked(self._region.get, _key(token), strict=True)
        return None if data is NO_VALUE else _read(data, token)

    def note(self, token: str, session_id: str, now: float) -> bool:
        """Note a move, unless somebody was faster, who is told by False.

        Raises:
            SessionUnavailable: The backend cannot be asked; maybe it is noted.
        """
        data = [_FORM, now, _masked(session_id, token)]
        return asked(self._region.add, _key(token), data, lifetime=self._lifetime)


def _read(data: object, token: str) -> Move:
    """Read a note; one that cannot be read still says that the session has gone."""
    if isinstance(data, list) and len(data) == _PARTS and data[0] == _FORM:
        _, at, masked = data
        if isinstance(at, float) and isinstance(masked, str):
            with suppress(ValueError):
                return Move(_masked(masked, token), at)
    return Move("", 0.0)


def _key(token: str) -> str:
    return f"moved-{_digest(b'key', token).hex()}"


def _masked(session_id: str, token: str) -> str:
    """Mask a new id by the old one, or unmask it.

    So that a copy of the store is no set of cookies: the old id is in no note.
    """
    raw = urlsafe_b64decode(f"{session_id}=")
    mask = _digest(b"mask", token)
    made = bytes(one ^ other for one, other in zip(raw, mask, strict=True))
    return urlsafe_b64encode(made).rstrip(b"=").decode()


def _digest(purpose: bytes, token: str) -> bytes:
    return hashlib.sha256(b"holdover moved " + purpose + b":" + token.encode()).digest()
