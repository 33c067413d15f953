"""Inflating what somebody else had compressed, up to a bound."""

from __future__ import annotations

import zlib

LARGEST = 1 << 20  # bytes


def inflated(data: bytes) -> bytes:
    """Undo zlib's compression.

    Raises:
        ValueError: It is none, or makes more than a MiB.
    """
    inflater = zlib.decompressobj()
    try:
        made = inflater.decompress(data, LARGEST)
    except zlib.error as error:
        raise ValueError("not compressed by zlib") from error
    if not inflater.eof:
        raise ValueError("too long, or cut off")
    return made
