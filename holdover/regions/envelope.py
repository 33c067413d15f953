"""What is stored for a key: the value with what one must know to judge it.

The wire form puts the payload first, so that a large one is decoded where it lies and
never copied; the metadata follows, closed by a fixed trailer::

    payload | key | tags | trailer
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdover.regions.codecs import TAG_LENGTH
from holdover.regions.lifetime import Lifetime

if TYPE_CHECKING:
    from holdover.regions.codecs import Codec

MAGIC = b"HLD1"
VERSION = 1
FOREVER = math.inf

_OWN_LIFETIME = 1  # flag: the three spans of the trailer are the entry's own
# created_at, kept_until, expiration_time, stale_while_revalidate, stale_if_error,
# cost, fence, clock, payload, tags and key lengths, version, flags, codec | CRC, magic
_TRAILER = struct.Struct("<5dfQQQIHBB8sI4s")
_FENCE = struct.Struct("<Q")
_FENCE_FROM_END = _TRAILER.size - struct.calcsize("<5df")
_CRC_AND_MAGIC = 8
_LONGEST_ECHO = 512
TRAILER_SIZE = _TRAILER.size
FENCE_SIZE = _FENCE.size
FENCE_FROM_END = _FENCE_FROM_END  # for backends that compare fences in place


class Unreadable(Exception):
    """These bytes are not a value of this key that this region may read."""


@dataclass(slots=True)
class Entry:
    """A value and what is known of it. Shared between threads, so never changed.

    Attributes:
        value: What the creator returned.
        created_at: When its creator had made it (wall clock).
        kept_until: When it may no longer be served at all (wall clock).
        fence: Unique to this storing; tells one stored value from the next.
        clock: The region clock's tick before the creator started.
        cost: Seconds that its creator took.
        lifetime: Its own lifetime, or None to be judged by the reader's.
        tags: Names under which it can be invalidated.
    """

    value: Any
    created_at: float
    kept_until: float = FOREVER
    fence: int = 0
    clock: int = 0
    cost: float = 0.0
    lifetime: Lifetime | None = None
    tags: tuple[str, ...] = ()


ABSENT = Entry(None, created_at=0.0, kept_until=-math.inf)
"""What a missing or unreadable value is: an entry that was never usable."""


def new_fence() -> int:
    """Draw a fence that no other storing has."""
    return secrets.randbits(63)


def seal(entry: Entry, key: str, codec: Codec) -> bytes:
    """Turn *entry* into the bytes to store under *key*.

    Raises:
        UncacheableValue: The codec cannot encode its value.
    """
    payload = codec.dumps(entry.value)
    echo = _echo(key)
    tags = json.dumps(entry.tags).encode() if entry.tags else b""
    body = b"".join((payload, echo, tags))
    own = entry.lifetime or Lifetime()
    trailer = _TRAILER.pack(
        entry.created_at,
        entry.kept_until,
        _number(own.expiration_time),
        _number(own.stale_while_revalidate),
        _number(own.stale_if_error),
        entry.cost,
        entry.fence,
        entry.clock,
        len(payload),
        len(tags),
        len(echo),
        VERSION,
        _OWN_LIFETIME if entry.lifetime else 0,
        codec.tag,
        0,
        MAGIC,
    )
    checked = trailer[:-_CRC_AND_MAGIC]
    crc = zlib.crc32(checked, zlib.crc32(body))
    return b"".join((body, checked, crc.to_bytes(4, "little"), MAGIC))


def open_sealed(raw: bytes, key: str, codec: Codec) -> Entry:
    """Read back what `seal` made.

    Raises:
        Unreadable: The bytes are foreign, damaged, of another version or codec, or
            were stored for another key.
    """
    (
        created_at, kept_until, expiration, revalidate, error, cost, fence, clock,
        payload_length, tags_length, key_length, version, flags, tag, crc, magic,
    ) = _unpack(raw)  # fmt: skip
    if magic != MAGIC or version != VERSION:
        raise Unreadable("not an envelope of this version")
    key_end = payload_length + key_length
    if key_end + tags_length + TRAILER_SIZE != len(raw):
        raise Unreadable("truncated or overlong")
    view = memoryview(raw)
    if zlib.crc32(view[:-_CRC_AND_MAGIC]) != crc:
        raise Unreadable("checksum differs")
    if raw[payload_length:key_end] != _echo(key):
        raise Unreadable("stored for another key")
    if tag != codec.tag.ljust(TAG_LENGTH, b"\0"):
        raise Unreadable(f"written by codec {tag.rstrip(bytes(1))!r}")
    own = (
        _own_lifetime(expiration, revalidate, error) if flags & _OWN_LIFETIME else None
    )
    try:
        tags = json.loads(raw[key_end : key_end + tags_length]) if tags_length else ()
        value = codec.loads(view[:payload_length])
    except Exception as problem:  # decoders of hostile bytes raise anything
        raise Unreadable(f"undecodable: {problem!r}") from problem
    return Entry(value, created_at, kept_until, fence, clock, cost, own, tuple(tags))


def fence_of(stored: bytes | Entry) -> int:
    """Tell which storing this is, without decoding the value.

    *stored* may also be the last `TRAILER_SIZE` bytes of an envelope. Bytes that are
    no envelope give 0, which no envelope carries.
    """
    if isinstance(stored, Entry):
        return stored.fence
    if len(stored) < TRAILER_SIZE or stored[-len(MAGIC) :] != MAGIC:
        return 0
    fence: int = _FENCE.unpack_from(stored, len(stored) - _FENCE_FROM_END)[0]
    return fence


def _unpack(raw: bytes) -> tuple[Any, ...]:
    try:
        return _TRAILER.unpack_from(raw, len(raw) - TRAILER_SIZE)
    except struct.error:
        raise Unreadable("too short") from None


def _echo(key: str) -> bytes:
    """The key as stored with its value, so that a swapped reply is noticed."""
    encoded = key.encode("utf-8", "surrogatepass")
    if len(encoded) <= _LONGEST_ECHO:
        return encoded
    return hashlib.blake2b(encoded, digest_size=32).digest()


def _number(span: float | None) -> float:
    return math.nan if span is None else span


def _span(number: float) -> float | None:
    return None if math.isnan(number) else number


def _own_lifetime(expiration: float, revalidate: float, error: float) -> Lifetime:
    try:
        return Lifetime(
            expiration_time=_span(expiration),
            stale_while_revalidate=_span(revalidate),
            stale_if_error=_span(error),
        )
    except ValueError as problem:
        raise Unreadable(f"impossible lifetime: {problem}") from problem
