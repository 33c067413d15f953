"""What stands in the database of `holdover.dbm`, and under which names."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from holdover.regions.backends.host_records import digest

_EXPIRY = struct.Struct("<d")
_VALUE, _LEASE, _CLOCK = b"v", b"l", b"c"


@dataclass(frozen=True, slots=True)
class ValueRecord:
    """A stored value and when it may be purged (wall clock)."""

    stored: bytes
    expires_at: float

    def packed(self) -> bytes:
        """Give the record as bytes; the value has a checksum of its own."""
        return _EXPIRY.pack(self.expires_at) + self.stored

    @classmethod
    def unpacked(cls, record: bytes | None) -> ValueRecord | None:
        """Read a record; None if there is none."""
        if record is None or len(record) < _EXPIRY.size:
            return None
        (expires_at,) = _EXPIRY.unpack_from(record)
        return cls(record[_EXPIRY.size :], expires_at)


def value_name(key: str) -> bytes:
    """Name a value's record."""
    return _VALUE + digest(key).encode()


def lease_name(key: str) -> bytes:
    """Name a lease's record."""
    return _LEASE + digest(key).encode()


def clock_name(region: str) -> bytes:
    """Name the record of a region's clock."""
    return _CLOCK + digest(region).encode()


def is_value(name: bytes) -> bool:
    """Say whether that is the name of a value's record."""
    return name.startswith(_VALUE)


def is_lease(name: bytes) -> bool:
    """Say whether that is the name of a lease's record."""
    return name.startswith(_LEASE)
