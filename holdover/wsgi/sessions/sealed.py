"""Sessions that are nowhere but in their cookie, sealed so that none can be forged.

A cookie is base64url of: a form byte, the key's id, a nonce, and what AES-256-GCM makes
of the session. What is sealed for one application, cookie or purpose opens in no other,
and nothing is read before it has been proved.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdover import errors
from holdover.regions.codecs import JsonCodec
from holdover.wsgi.sessions.cookie import LARGEST_COOKIE
from holdover.wsgi.sessions.errors import SessionTooLarge
from holdover.wsgi.sessions.moving import OldSession
from holdover.wsgi.sessions.record import (
    Changes,
    Kept,
    Record,
    Timeouts,
    as_data,
    from_data,
    merged,
)
from holdover.wsgi.sessions.store import begun_anew, new_id
from holdover.wsgi.sessions.users import UserIndex

IsRevoked = Callable[[str, str | None, float], bool]

_FORM = b"\x01"
_KEY_ID = 4  # bytes
_NONCE = 12  # bytes; random ones do for 2**32 cookies a key (NIST SP 800-38D, 8.3)
_HEAD = len(_FORM) + _KEY_ID
_SHORTEST_SECRET = 32  # bytes
_TEXT = re.compile(r"[A-Za-z0-9_-]+")


class SealedStore:
    """Sessions in their cookies.

    The browser keeps one whole cookie, so of two requests at once that change the
    session, the one whose answer comes last wins. And a copy of a cookie stays good
    until its time is over, unless *is_revoked* knows better.

    Args:
        secrets: At least 32 bytes each; the first seals, each of them opens.
        name: The cookie's name.
        app_id: Tells applications that share a secret apart.
        timeouts: When sessions end; the absolute bound must be given.
        is_revoked: Asked with a session's id, its user and when it began, whether it
            was ended before its time; with every cookie that is read.

    Raises:
        ConfigurationError: A secret is too short or there twice, or nothing bounds a
            session.
    """

    needs_cookie = True
    users: UserIndex | None = None

    def __init__(
        self,
        secrets: Sequence[str | bytes],
        *,
        name: str,
        app_id: str,
        timeouts: Timeouts,
        is_revoked: IsRevoked | None = None,
    ) -> None:
        if timeouts.absolute is None:
            raise errors.ConfigurationError(
                "sessions in cookies cannot be taken back: absolute_timeout must say "
                "when they end"
            )
        self._ciphers = _ciphers(secrets)
        self._newest = next(iter(self._ciphers))
        self._context = _joined(b"holdover session", name.encode(), app_id.encode())
        self._name = name
        self._room = LARGEST_COOKIE - len(name)
        self._timeouts = timeouts
        self._is_revoked = is_revoked
        self._codec = JsonCodec()

    def find(self, cookie: str, now: float) -> Kept | None:
        """See `SessionStore.find`."""
        kept = self._opened(cookie)
        if kept is None:
            return None
        record = kept.record
        if self._timeouts.have_ended(record, now):
            return None
        revoked = self._is_revoked
        if revoked is not None and revoked(kept.id, record.user, record.created_at):
            return None
        return kept

    def create(self, session_id: str, record: Record) -> Kept:
        """See `SessionStore.create`."""
        return Kept(session_id, "", self._sealed(session_id, record), record)

    def update(self, kept: Kept, changes: Changes, now: float) -> Kept | None:
        """See `SessionStore.update`."""
        return self.create(kept.id, merged(kept.record, changes, now))

    def replace(
        self,
        kept: Kept,
        session_id: str,
        changes: Changes,
        now: float,
        user: str | None,
    ) -> Kept | None:
        """See `SessionStore.replace`; a copy of the old cookie stays good."""
        record = merged(kept.record, changes, now)
        return self.create(session_id, begun_anew(record, user, now))

    def withdraw(self, kept: Kept, changes: Changes, now: float) -> Record | None:
        """See `SessionStore.withdraw`; a copy of the cookie stays good."""
        return merged(kept.record, changes, now)

    def remove(self, cookie: str, kept: Kept | None) -> None:
        """See `SessionStore.remove`: it is up to the browser, and to *is_revoked*."""

    def take_over(self, old: OldSession, now: float) -> Kept | None:
        """See `SessionStore.take_over`; a copy of the old cookie stays good."""
        record = old.read()
        if record is None or self._timeouts.have_ended(record, now):
            return None
        made = self.create(new_id(), record)
        old.remove()
        return made

    def _sealed(self, session_id: str, record: Record) -> str:
        plain = self._codec.dumps([session_id, as_data(record)])
        head, nonce = _FORM + self._newest, os.urandom(_NONCE)
        cipher = self._ciphers[self._newest]
        box = cipher.encrypt(nonce, plain, self._context + head)
        text = _encoded(head + nonce + box)
        if len(text) > self._room:
            raise SessionTooLarge(
                f"the session makes a cookie of {len(text) + len(self._name)} bytes, "
                f"and browsers keep {LARGEST_COOKIE}: keep less in it, or keep "
                "sessions in a region"
            )
        return text

    def _opened(self, cookie: str) -> Kept | None:
        raw = self._decoded(cookie)
        if raw is None or raw[:1] != _FORM:
            return None
        head, nonce = raw[:_HEAD], raw[_HEAD : _HEAD + _NONCE]
        cipher = self._ciphers.get(head[len(_FORM) :])
        if cipher is None:
            return None
        try:
            plain = cipher.decrypt(nonce, raw[_HEAD + _NONCE :], self._context + head)
        except (InvalidTag, ValueError):  # forged, or too short to be anything
            return None
        session_id, data = self._codec.loads(memoryview(plain))
        record = from_data(data)
        if record is None:
            return None
        is_dated = head[len(_FORM) :] != self._newest
        return Kept(session_id, "", cookie, record, is_dated=is_dated)

    def _decoded(self, cookie: str) -> bytes | None:
        """Decode base64url; None if it is not as `_sealed` writes it, bit by bit."""
        if len(cookie) > self._room or _TEXT.fullmatch(cookie) is None:
            return None
        if len(cookie) % 4 == 1:  # which no number of bytes gives
            return None
        raw = urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        # The last character may have bits that say nothing, and then be another one.
        return raw if _encoded(raw[len(raw) // 3 * 3 :]) == _tail(cookie) else None


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _tail(text: str) -> str:
    return text[len(text) // 4 * 4 :]


def _ciphers(secrets: Sequence[object]) -> dict[bytes, AESGCM]:
    """Derive a key of each secret, by the id that cookies name it by."""
    made: dict[bytes, AESGCM] = {}
    for given in secrets:
        secret = given.encode("utf-8") if isinstance(given, str) else given
        if not isinstance(secret, bytes) or len(secret) < _SHORTEST_SECRET:
            raise errors.ConfigurationError(
                f"a secret for sessions in cookies must be at least {_SHORTEST_SECRET} "
                "bytes: make one with "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        key_id = _derived(secret, b"id", _KEY_ID)
        if key_id in made:
            raise errors.ConfigurationError("a secret for sessions is there twice")
        made[key_id] = AESGCM(_derived(secret, b"key", 32))
    if not made:
        raise errors.ConfigurationError(
            "sessions in cookies need a secret (or a list of them, newest first)"
        )
    return made


def _derived(secret: bytes, purpose: bytes, size: int) -> bytes:
    info = _joined(b"holdover session", b"AES-256-GCM", purpose)
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(secret)


def _joined(*parts: bytes) -> bytes:
    """Join parts so that each other list of parts gives other bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
