"""What Beaker writes of a session, read without believing any of it.

A MAC is proved before anything is looked at, and nothing of any length is taken.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from typing import Any

from holdover import errors
from holdover.regions.codecs import is_plain
from holdover.regions.numbers import is_instant
from holdover.wsgi.sessions.bounds import LARGEST_RECORD, bounded, inflated
from holdover.wsgi.sessions.pickles import read_plain
from holdover.wsgi.sessions.record import Record

NAME = "session"  # of the only entry that Beaker makes for one
_MAC = 40  # characters: HMAC-SHA1 in hexadecimal
_IV, _TAG = 12, 16  # bytes (AES-GCM)
_ROOM = LARGEST_RECORD  # values in a session, and characters in its texts
_MOST_BITS = 4096  # of a whole number: Python writes no longer ones as text
_OWN = frozenset({"_accessed_time", "_creation_time", "_domain", "_id", "_path"})


class NotKept(ValueError):
    """A session of Beaker's that cannot be taken over; the message is for the log."""


def proved(value: str, secret: str) -> str | None:
    """Give what Beaker has signed; None if it has not."""
    mac, text = value[:_MAC], value[_MAC:]
    if not text or not value.isascii():
        return None
    wanted = hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
    return text if hmac.compare_digest(mac, wanted) else None


def of_container(data: Any) -> Any:
    """Give what Beaker keeps of a session among all that it could keep with it."""
    return data.get(NAME) if isinstance(data, dict) else None


class BeakerData:
    """How Beaker's sessions are written.

    Args:
        pickled: Whether they are pickles; JSON otherwise.
        encrypt_key: Beaker's, by which it encrypted them.
        validate_key: Beaker's; part of what the key is made of.
        nonce_bits: Beaker's ``encrypt_nonce_bits``.

    Raises:
        MissingDependency: Something is encrypted, and cryptography not installed.
    """

    def __init__(
        self, *, pickled: bool, encrypt_key: str, validate_key: str, nonce_bits: int
    ) -> None:
        self._pickled = pickled
        self._opened: Callable[[bytes], bytes] = b64decode
        if encrypt_key:
            self._opened = _opener(encrypt_key, validate_key, nonce_bits)

    def read(self, written: object) -> dict[str, Any]:
        """Read what stands in the store, or in a cookie.

        Raises:
            ValueError: It is none of Beaker's, or cannot be read as it was configured.
        """
        raw = written.encode("ascii") if isinstance(written, str) else written
        if not isinstance(raw, bytes) or len(raw) > 2 * LARGEST_RECORD:
            raise NotKept("no text that Beaker writes")
        opened = bounded(self._opened(raw))
        if self._pickled:
            data = read_plain(opened, objects=True)
        else:
            data = _from_json(inflated(opened))
        if not isinstance(data, dict):
            raise NotKept("no mapping")
        return data


def _from_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise NotKept("too deep") from error


def _opener(key: str, salt: str, bits: int) -> Callable[[bytes], bytes]:
    """Make the inverse of Beaker's encryption: AES-256-GCM, a key for each nonce."""
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415
            AESGCM,
        )
    except ImportError as error:
        raise errors.MissingDependency(
            "sessions that Beaker has encrypted need cryptography: pip install "
            "'holdover[sessions]'"
        ) from error
    size = ((4 * (bits // 8) // 3) + 3) & ~3  # of a nonce, as base64

    def opened(written: bytes) -> bytes:
        nonce, box = written[:size], b64decode(written[size:])
        made = hashlib.pbkdf2_hmac("sha1", key.encode(), salt.encode() + nonce, 1, 32)
        head = _IV + _TAG
        try:
            return AESGCM(made).decrypt(box[:_IV], box[head:] + box[_IV:head], None)
        except InvalidTag as error:
            raise NotKept("encrypted by another key, or by another library") from error

    return opened


def record_of(
    data: Mapping[str, Any], leave_out: Collection[str], now: float
) -> Record:
    """Make a record of a session of Beaker's.

    Tuples become lists. A session whose times are missing begins now.

    Args:
        data: What Beaker had in it.
        leave_out: Names of fields that may get lost.
        now: The instant.

    Raises:
        NotKept: There is something in it that sessions cannot hold. To leave it out
            unasked could let somebody in further than he was.
    """
    created_at = _instant(data, "_creation_time", now)
    accessed_at = _instant(data, "_accessed_time", now)
    fields, room = {}, _Room()
    for name, value in data.items():
        if name in _OWN or name in leave_out:
            continue
        plain = room.plain(value)
        if not is_plain({name: plain}):
            raise NotKept(
                f"{name!r} holds no plain data: name it in leave_out if the session "
                "can do without"
            )
        fields[name] = plain
    return Record(fields, created_at, max(created_at, accessed_at))


def _instant(data: Mapping[str, Any], name: str, now: float) -> float:
    found = data.get(name, now)
    if not is_instant(found):
        raise NotKept(f"{name} is no instant")
    return min(float(found), now)


class _Room:
    """Copies plain data as a tree, for which there is only so much room.

    In a pickle, a list can stand in many places: few bytes can make billions of values.
    """

    def __init__(self) -> None:
        self._left = _ROOM

    def plain(self, value: Any) -> Any:
        try:
            return self._copied(value)
        except RecursionError as error:
            raise NotKept("too deep") from error

    def _copied(self, value: Any) -> Any:
        self._take(value)
        if isinstance(value, list | tuple):
            return [self._copied(one) for one in value]
        if isinstance(value, dict):
            return {self._take(name): self._copied(one) for name, one in value.items()}
        return value

    def _take(self, atom: Any) -> Any:
        self._left -= len(atom) if isinstance(atom, str | bytes) else 1
        if self._left < 0:
            raise NotKept("too much is in it")
        if isinstance(atom, int) and atom.bit_length() > _MOST_BITS:
            raise NotKept("a number with thousands of digits")
        return atom
