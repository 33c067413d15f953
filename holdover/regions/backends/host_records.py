"""What backends of one host keep beside values: leases and region clocks."""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from holdover.regions.backends.grants import Busy, Lease, LeaseKind
from holdover.regions.backends.sending import reason_bytes
from holdover.regions.encoding import to_bytes
from holdover.regions.envelope import new_fence
from holdover.regions.ticks import DAMAGE, ClockState

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
    """Who may create a key, or why nobody shall: what is kept beside its value.

    It is there from acquire until commit, release or removal. One that is
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
    def granted(cls, until: float, *, queued: bool) -> LeaseRecord:
        """Make the record of a new lease, with a token and a fence of its own."""
        return cls(
            token=secrets.token_hex(16),
            fence=new_fence(),
            lapses_at=until,
            kind=LeaseKind.QUEUED if queued else LeaseKind.HELD,
        )

    def adopted(self, until: float) -> LeaseRecord:
        """Give the record of the same lease in other hands."""
        return replace(
            self,
            token=secrets.token_hex(16),
            lapses_at=until,
            kind=LeaseKind.HELD,
        )

    def lease(self, key: str, tick: int, ttl: float) -> Lease:
        """Give the lease as its holder knows it."""
        return Lease(key=key, token=self.token, fence=self.fence, clock=tick, ttl=ttl)

    @classmethod
    def pausing(cls, until: float, reason: str) -> LeaseRecord:
        """Make a record of a creator that is left alone, which nobody holds."""
        return cls(
            token=secrets.token_hex(16),  # which nobody knows
            fence=0,
            lapses_at=until,
            kind=LeaseKind.BACKING_OFF,
            reason=reason_bytes(reason, _LONGEST_REASON),
        )

    def busy(self, now: float) -> Busy | None:
        """Tell what it keeps others from at *now* (steady clock), if it still does.

        A record from another boot has lapsed.
        """
        remaining = self.lapses_at - now
        if remaining <= 0 or self.boot != BOOT_ID:
            return None
        return Busy(remaining, self.kind, self.reason.decode("utf-8", "replace"))

    def packed(self) -> bytes:
        """Give the record as bytes, with a checksum."""
        return summed(
            self._FORM.pack(
                self._MAGIC,
                self.token.encode(),
                self.fence,
                self.lapses_at,
                _KINDS.index(self.kind),
                self.boot,
                len(self.reason),
                self.reason,
            )
        )

    @classmethod
    def unpacked(cls, data: bytes | None) -> LeaseRecord | None:
        """Read a record; None if there is none or it is damaged."""
        body = checked(data, cls._FORM.size)
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


_CLOCK = struct.Struct("<8s3QI")
_CLOCK_MAGIC = b"HLDCLCK2"


def clock_packed(state: ClockState) -> bytes:
    """Give a region's clock as bytes, with a checksum."""
    marks = json.dumps(state.listed()).encode()
    ticks = (state.tick, state.hard_floor, state.soft_floor)
    return summed(_CLOCK.pack(_CLOCK_MAGIC, *ticks, len(marks)) + marks)


def clock_unpacked(data: bytes | None) -> ClockState | None:
    """Read a region's clock; None if there is none or it is damaged."""
    if data is None or len(data) < _CLOCK.size:
        return None
    magic, *ticks, length = _CLOCK.unpack_from(data)
    body = checked(data, _CLOCK.size + length)
    if magic != _CLOCK_MAGIC or body is None:
        return None
    try:
        return ClockState.read(ticks, json.loads(body[_CLOCK.size :]))
    except DAMAGE:
        return None


def summed(body: bytes) -> bytes:
    """Give a record's body with its checksum."""
    return body + _CRC.pack(zlib.crc32(body))


def checked(data: bytes | None, size: int) -> bytes | None:
    """Give the body of an undamaged record."""
    # Longer is no harm: records are overwritten in place, whatever was there.
    if data is None or len(data) < size + _CRC.size:
        return None
    body = data[:size]
    return body if _CRC.unpack_from(data, size)[0] == zlib.crc32(body) else None


def digest(name: str) -> str:
    """Give the file name that stands for a key or a region."""
    return _digest(name) if len(name) > _LONGEST_KNOWN else _known_digest(name)


def _digest(name: str) -> str:
    return hashlib.blake2b(to_bytes(name), digest_size=20).hexdigest()


_LONGEST_KNOWN = 512  # characters: others are not kept alive
_known_digest = functools.lru_cache(maxsize=4096)(_digest)  # 0.06 us in place of 0.5
