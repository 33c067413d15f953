"""Under which names `holdover.redis_cluster` keeps things, and in which slots.

Keys are hashed to buckets, each of which is one slot. All that belongs to a key is in
its bucket, with a copy of the region's clock, so that one node can read and change it
in one step.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator

from holdover.regions.backends.redis_records import OURS
from holdover.regions.encoding import to_bytes

BUCKETS = 64
"""How many: so many copies has every clock, and so many primaries can be of use."""

SLOTS = 1 << 14  # of a Redis Cluster
_SLOTS_PER_BUCKET = SLOTS // BUCKETS


def slot_of(text: bytes) -> int:
    """Give the slot of a name that is only a hash tag (CRC-16/XMODEM)."""
    return crc_hqx(text, 0) % SLOTS


def _found_tags() -> Iterator[bytes]:
    """Find a short tag for each bucket, so that buckets are spread over the slots."""
    missing = dict.fromkeys(range(BUCKETS))
    found: dict[int, bytes] = {}
    number = 0
    while missing:
        tag = b"h%d" % number
        bucket = slot_of(tag) // _SLOTS_PER_BUCKET
        if bucket in missing:
            del missing[bucket]
            found[bucket] = tag
        number += 1
    yield from (found[bucket] for bucket in range(BUCKETS))


_TAGS = tuple(_found_tags())
SLOT_OF_BUCKET = tuple(map(slot_of, _TAGS))
_BRACED = tuple(b"{%b}:" % tag for tag in _TAGS)
_BUCKET_OF = {tag: bucket for bucket, tag in enumerate(_TAGS)}


def bucket_of(key: str) -> int:
    """Give the bucket of a key, or of a region's name."""
    return slot_of(to_bytes(key)) // _SLOTS_PER_BUCKET


def bucket_in(name: bytes) -> int:
    """Give the bucket in which something is that goes by one of the names below."""
    start = name.index(b"{") + 1
    return _BUCKET_OF[name[start : name.index(b"}", start)]]


def value_name(key: str) -> bytes:
    """Name a value."""
    text = to_bytes(key)
    return _BRACED[slot_of(text) // _SLOTS_PER_BUCKET] + text


def lease_name(key: str) -> bytes:
    """Name the lease beside it."""
    return OURS + b"lease:" + value_name(key)


def copy_name(region: str, bucket: int) -> bytes:
    """Name a bucket's copy of the tick of a region's clock."""
    return OURS + b"clock:" + _BRACED[bucket] + to_bytes(region)


def home_names(region: str) -> tuple[bytes, bytes]:
    """Name a region's whole clock, and the marks beside it."""
    name = value_name(region)
    return OURS + b"whole:" + name, OURS + b"marks:" + name
