"""How much is read of what somebody else has stored: no record is larger than a MiB."""

from __future__ import annotations

import zlib

LARGEST_RECORD = 1 << 20  # bytes


def bounded(data: bytes) -> bytes:
    """Give *data* that is no larger than a record.

    Raises:
        ValueError: It is.
    """
    if len(data) > LARGEST_RECORD:
        raise ValueError("a record that is too large")
    return data


def inflated(data: bytes) -> bytes:
    """Undo zlib's compression, up to the bound.

    Raises:
        ValueError: It is none, or makes more than a record.
    """
    inflater = zlib.decompressobj()
    try:
        made = inflater.decompress(data, LARGEST_RECORD)
    except zlib.error as error:
        raise ValueError("not compressed by zlib") from error
    if not inflater.eof:
        raise ValueError("too long, or cut off")
    return made
