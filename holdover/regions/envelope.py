"""What is stored for a key: the value with what one must know to judge it.

The wire form puts the payload first, so that a large one is decoded where it lies and
never copied; the metadata follows, closed by a fixed trailer::

    payload | key | tags | trailer
    payload | key | tags | signature | trailer

The trailer has one size and one order for ever, so that a backend can read the fence at
a fixed distance from the end, whatever stands before it.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
import secrets
import struct
import zlib
from typing import TYPE_CHECKING, Any

from holdover.regions.codecs import TAG_LENGTH, written_by
from holdover.regions.compression import READABLE, Compression
from holdover.regions.decoding import Unreadable, undecodable
from holdover.regions.encoding import to_bytes
from holdover.regions.lifetime import Lifetime
from holdover.regions.signing import MAC_SIZE, Signer
from holdover.regions.values import slotted

if TYPE_CHECKING:
    from holdover.regions.codecs import Codec

MAGIC = b"HLD1"
VERSION = 1
FOREVER = math.inf
_FENCE_BITS = 63
FENCES: int = 2**_FENCE_BITS

_OWN_LIFETIME = 1  # flag: the three spans of the trailer are the entry's own
COMPRESSED = 2  # flag: the payload is a compressed one
SIGNED = 4  # flag: a signature stands before the trailer, and no checksum in it
_EXPIRED = 8  # flag: expired before its time
_OPTIONAL = _OWN_LIFETIME | COMPRESSED | _EXPIRED  # what any reader takes as it comes
# created_at, kept_until, expiration_time, stale_while_revalidate, stale_if_error,
# cost, fence, clock, payload, tags and key lengths, version, flags, codec | CRC, magic
TRAILER = struct.Struct("<5dfQQQIHBB8sI4s")
# The same, with the three spans in one piece: most entries have those of many others.
_READ = struct.Struct("<2d24sfQQQIHBB8sI4s")
_SPANS = struct.Struct("<3d")
_FENCE = struct.Struct("<Q")
_FENCE_FROM_END = TRAILER.size - struct.calcsize("<5df")
_CRC_AND_MAGIC = 8
_LARGE = 65_536  # bytes of a payload; copying a smaller one costs nothing
_LONGEST_ECHO = 512
_NO_LIFETIME = Lifetime()
TRAILER_SIZE = TRAILER.size
FENCE_SIZE = _FENCE.size
FENCE_FROM_END = _FENCE_FROM_END  # for backends that compare fences in place


@slotted
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
        expired: Whether it was made to expire before its time.
    """

    value: Any
    created_at: float
    kept_until: float = FOREVER
    fence: int = 0
    clock: int = 0
    cost: float = 0.0
    lifetime: Lifetime | None = None
    tags: tuple[str, ...] = ()
    expired: bool = False


ABSENT = Entry(None, created_at=0.0, kept_until=-math.inf)
"""What a missing or unreadable value is: an entry that was never usable."""


def new_fence() -> int:
    """Draw a fence that no other storing has."""
    return secrets.randbits(_FENCE_BITS)


def seal(
    entry: Entry,
    key: str,
    codec: Codec,
    signer: Signer | None = None,
    compression: Compression | None = None,
) -> bytes:
    """Turn *entry* into the bytes to store under *key*.

    Args:
        entry: The value and what is known of it.
        key: The final key, as the backend gets it.
        codec: Encodes the value.
        signer: Signs the envelope; None leaves it with a checksum.
        compression: Makes payloads smaller; None leaves them as they are.

    Raises:
        UncacheableValue: The codec cannot encode its value.
    """
    payload = written_by(codec, entry.value)
    flags = _OWN_LIFETIME if entry.lifetime else 0
    flags |= _EXPIRED if entry.expired else 0
    if compression is not None and (packed := compression.pack(payload)) is not None:
        payload, flags = packed, flags | COMPRESSED
    tail = _tail(entry, key, payload, (flags, codec.tag), signer)
    if len(payload) < _LARGE:
        return payload + tail
    whole = io.BytesIO(payload)
    del payload  # nobody else has it, so it grows where it is, and is not copied
    whole.seek(0, io.SEEK_END)
    whole.write(tail)
    return whole.getvalue()


def _tail(
    entry: Entry,
    key: str,
    payload: bytes,
    form: tuple[int, bytes],
    signer: Signer | None,
) -> bytes:
    """Make all that stands behind the payload, in the form of these flags and tag."""
    flags, tag = form
    echo = _echo(key)
    tags = json.dumps(entry.tags).encode() if entry.tags else b""
    lengths = len(payload), len(tags), len(echo)
    if signer is None:
        checked = _trailer(entry, lengths, flags, tag)[:-_CRC_AND_MAGIC]
        crc = zlib.crc32(checked, zlib.crc32(echo + tags, zlib.crc32(payload)))
        return b"".join((echo, tags, checked, crc.to_bytes(4, "little"), MAGIC))
    trailer = _trailer(entry, lengths, flags | SIGNED, tag)
    mac = signer.sign(_address(key), payload, echo, tags, trailer)
    return b"".join((echo, tags, mac, trailer))


def open_sealed(
    raw: bytes,
    key: str,
    codec: Codec,
    signer: Signer | None = None,
    compression: Compression | None = None,
) -> Entry:
    """Read back what `seal` made.

    Args:
        raw: The stored bytes.
        key: The key under which they were found.
        codec: Decodes the value; no other codec's is read.
        signer: Verifies the signature; None reads only what is unsigned.
        compression: Limits what a compressed payload may grow to.

    Raises:
        Unreadable: The bytes are foreign, damaged, forged, of another version or
            codec, or were stored for another key.
    """
    if len(raw) < TRAILER_SIZE:
        raise Unreadable("too short")
    (
        created_at, kept_until, spans, cost, fence, clock,
        payload_length, tags_length, key_length, version, flags, tag, crc, magic,
    ) = _READ.unpack_from(raw, len(raw) - TRAILER_SIZE)  # fmt: skip
    if magic != MAGIC or version != VERSION:
        raise Unreadable("not an envelope of this version")
    if flags & ~_OPTIONAL != (SIGNED if signer else 0):
        raise Unreadable(_wrong_flags(flags))
    key_end, view = payload_length + key_length, memoryview(raw)
    if signer is not None:
        _check_signature(view, key_end + tags_length, key, signer)
    else:
        _check_sum(view, key_end + tags_length, crc)
        _check_echo(view[payload_length:key_end], key)
    if tag != codec.tag.ljust(TAG_LENGTH, b"\0"):
        raise Unreadable(f"written by codec {tag.rstrip(bytes(1))!r}")
    if not 0.0 <= cost < FOREVER or math.isnan(created_at + kept_until):
        raise Unreadable("impossible times")
    own = _own_lifetime(spans) if flags & _OWN_LIFETIME else None
    try:
        tags = _tags(raw[key_end : key_end + tags_length]) if tags_length else ()
        payload = view[:payload_length]
        if flags & COMPRESSED:
            payload = memoryview((compression or READABLE).unpack(payload))
        value = codec.loads(payload)
    except Exception as problem:  # decoders of hostile bytes raise anything
        raise undecodable(problem) from problem
    return Entry(
        value, created_at, kept_until, fence, clock, cost, own, tags,
        bool(flags & _EXPIRED),
    )  # fmt: skip


def plain_payload(stored: bytes) -> memoryview | None:
    """Give the encoded value of an envelope that `open_sealed` has accepted.

    None if it is compressed.
    """
    fields = _READ.unpack_from(stored, len(stored) - TRAILER_SIZE)
    length, flags = fields[6], fields[10]
    return None if flags & COMPRESSED else memoryview(stored)[:length]


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


def fence_seen(entry: Entry) -> int | None:
    """Give the fence that a caller has seen; None if there was nothing to see."""
    return None if entry is ABSENT else entry.fence


def _trailer(
    entry: Entry, lengths: tuple[int, int, int], flags: int, tag: bytes
) -> bytes:
    """Everything but the checksum, in whose place stands 0."""
    own = entry.lifetime or _NO_LIFETIME
    return TRAILER.pack(
        entry.created_at,
        entry.kept_until,
        _number(own.expiration_time),
        _number(own.stale_while_revalidate),
        _number(own.stale_if_error),
        entry.cost,
        entry.fence,
        entry.clock,
        *lengths,
        VERSION,
        flags,
        tag,
        0,
        MAGIC,
    )


def _check_sum(view: memoryview, body_end: int, crc: int) -> None:
    """Refuse what is not what was written, by accident."""
    if body_end + TRAILER_SIZE != len(view):
        raise Unreadable("truncated or overlong")
    if zlib.crc32(view[:-_CRC_AND_MAGIC]) != crc:
        raise Unreadable("checksum differs")


def _check_echo(found: memoryview, key: str) -> None:
    """Refuse what was stored for another key, which a signature proves by itself."""
    if found != _echo(key):
        raise Unreadable("stored for another key")


def _check_signature(view: memoryview, body_end: int, key: str, signer: Signer) -> None:
    """Refuse what none of the secrets has signed for this key."""
    mac_end = body_end + MAC_SIZE
    if mac_end + TRAILER_SIZE != len(view):
        raise Unreadable("truncated or overlong")
    body, mac, trailer = view[:body_end], view[body_end:mac_end], view[mac_end:]
    if not signer.verify(mac, _address(key), body, trailer):
        raise Unreadable("signed by none of the secrets, or for another key")


def _address(key: str) -> bytes:
    """The whole key as it is signed: its length keeps it apart from what follows."""
    encoded = to_bytes(key)
    return len(encoded).to_bytes(8, "little") + encoded


def _wrong_flags(flags: int) -> str:
    if flags & ~_OPTIONAL & ~SIGNED:
        return "written by another release"
    return "signed, and no secret is set" if flags & SIGNED else "not signed"


def _tags(raw: bytes) -> tuple[str, ...]:
    tags = json.loads(raw)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise TypeError("tags are texts")
    return tuple(tags)


def _echo(key: str) -> bytes:
    """The key as stored with its value, so that a swapped reply is noticed."""
    encoded = to_bytes(key)
    if len(encoded) <= _LONGEST_ECHO:
        return encoded
    return hashlib.blake2b(encoded, digest_size=32).digest()


def _number(span: float | None) -> float:
    return math.nan if span is None else span


def _span(number: float) -> float | None:
    return None if math.isnan(number) else number


@functools.lru_cache(maxsize=1024)  # few differ, and one takes 4 us to make
def _own_lifetime(spans: bytes) -> Lifetime:
    expiration, revalidate, error = _SPANS.unpack(spans)
    try:
        return Lifetime(
            expiration_time=_span(expiration),
            stale_while_revalidate=_span(revalidate),
            stale_if_error=_span(error),
        )
    except ValueError as problem:
        raise Unreadable(f"impossible lifetime: {problem}") from problem
