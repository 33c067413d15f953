"""The small record that `holdover.file` keeps beside a value, and how it is written."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from holdover.regions.backends.file_disk import open_private, read_file
from holdover.regions.backends.grants import Busy, LeaseKind

_CRC = struct.Struct("<I")
_KINDS = list(LeaseKind)  # a record holds the index
_LONGEST_REASON = 200


def _boot_id() -> str:
    """Name this boot of this host, so that a lease does not outlive it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # pragma: no cover - other systems than Linux
        return "no-boot-id"


BOOT_ID = _boot_id().encode()[:36].ljust(36, b"-")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """Who may create a key, or why nobody shall: the content of its ``.lease`` file.

    The file is there from acquire until commit, release or removal. One that is
    missing or unreadable stands for "no lease, and every commit is refused".
    """

    token: str
    fence: int
    lapses_at: float
    kind: LeaseKind
    reason: bytes = b""
    boot: bytes = BOOT_ID

    _FORM = struct.Struct(f"<4s32sQdB36sB{_LONGEST_REASON}s")
    _MAGIC = b"HLDM"

    @classmethod
    def pausing(cls, until: float, reason: str) -> LeaseRecord:
        """Make a record of a creator that is left alone, which nobody holds."""
        return cls(
            token=secrets.token_hex(16),  # which nobody knows
            fence=0,
            lapses_at=until,
            kind=LeaseKind.BACKING_OFF,
            reason=reason.encode("utf-8", "replace")[:_LONGEST_REASON],
        )

    def busy(self, now: float) -> Busy | None:
        """Tell what it keeps others from at *now* (steady clock), if it still does.

        A record from another boot has lapsed.
        """
        remaining = self.lapses_at - now
        if remaining <= 0 or self.boot != BOOT_ID:
            return None
        return Busy(remaining, self.kind, self.reason.decode("utf-8", "replace"))

    def save(self, path: str) -> None:
        """Write the record in place; the caller holds the stripe's lock."""
        body = self._FORM.pack(
            self._MAGIC,
            self.token.encode(),
            self.fence,
            self.lapses_at,
            _KINDS.index(self.kind),
            self.boot,
            len(self.reason),
            self.reason,
        )
        overwrite(path, body)

    @classmethod
    def load(cls, path: str) -> LeaseRecord | None:
        """Read the record; None if there is none or it is damaged."""
        body = checked(read_file(path), cls._FORM.size)
        if body is None:
            return None
        magic, token, fence, lapses_at, kind, boot, length, reason = cls._FORM.unpack(
            body
        )
        if magic != cls._MAGIC or kind >= len(_KINDS):
            return None
        return cls(
            token=token.rstrip(b"\0").decode("ascii", "replace"),
            fence=fence,
            lapses_at=lapses_at,
            kind=_KINDS[kind],
            reason=reason[:length],
            boot=boot,
        )


def overwrite(path: str, body: bytes) -> None:
    """Write a record in place.

    Raises:
        OSError: It could not be written whole.
    """
    data = body + _CRC.pack(zlib.crc32(body))
    descriptor = open_private(path, os.O_RDWR)
    try:
        if os.pwrite(descriptor, data, 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(descriptor)


def checked(data: bytes | None, size: int) -> bytes | None:
    """Give the body of an undamaged record."""
    # Longer is no harm: records are overwritten in place, whatever was there.
    if data is None or len(data) < size + _CRC.size:
        return None
    body = data[:size]
    return body if _CRC.unpack_from(data, size)[0] == zlib.crc32(body) else None


def digest(name: str) -> str:
    """Give the file name that stands for a key or a region."""
    encoded = name.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=20).hexdigest()


def stripe(path: str) -> int:
    """Tell which of the locks guards the file at *path*."""
    return int(path[path.rindex("/") + 1 :][:2], 16)
