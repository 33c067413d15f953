"""The two small records that `holdover.file` keeps beside its values."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from holdover.regions.backends.base import ClockState
from holdover.regions.backends.file_disk import open_private, read_file

_CRC = struct.Struct("<I")


def _boot_id() -> str:
    """Name this boot of this host, so that a lease does not outlive it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # pragma: no cover - other systems than Linux
        return "no-boot-id"


BOOT_ID = _boot_id().encode()[:36].ljust(36, b"-")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """Who may create a key: the content of its ``.lease`` file.

    The file is there from acquire until commit, release or removal. One that is
    missing or unreadable stands for "no lease, and every commit is refused".
    """

    token: str
    fence: int
    lapses_at: float
    boot: bytes = BOOT_ID

    _FORM = struct.Struct("<4s32sQd36s")
    _MAGIC = b"HLDL"

    def remaining(self, now: float) -> float:
        """Seconds left at *now* (steady clock); none if it is from another boot."""
        return self.lapses_at - now if self.boot == BOOT_ID else 0.0

    def save(self, path: str) -> None:
        """Write the record in place; the caller holds the stripe's lock."""
        body = self._FORM.pack(
            self._MAGIC, self.token.encode(), self.fence, self.lapses_at, self.boot
        )
        _overwrite(path, body)

    @classmethod
    def load(cls, path: str) -> LeaseRecord | None:
        """Read the record; None if there is none or it is damaged."""
        body = _checked(read_file(path), cls._FORM.size)
        if body is None:
            return None
        magic, token, fence, lapses_at, boot = cls._FORM.unpack(body)
        if magic != cls._MAGIC:
            return None
        return cls(
            token=token.decode("ascii", "replace"),
            fence=fence,
            lapses_at=lapses_at,
            boot=boot,
        )


class ClockFile:
    """A region's clock in a file, whose tick costs one ``pread`` to see.

    Changed in place and only under the clock lock, because readers keep it open.
    """

    _FORM = struct.Struct("<8s3Q")
    _TICK = struct.Struct("<8sQ")
    _MAGIC = b"HLDCLOCK"

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._retired = -1

    def tick(self) -> int | None:
        """Read the tick; None if the file must first be made or opened."""
        try:
            magic, tick = self._TICK.unpack(os.pread(self._descriptor, 16, 0))
        except (OSError, struct.error):
            return None
        # A process that closes all its descriptors may have reused this number.
        return tick if magic == self._MAGIC else None

    def is_current(self) -> bool:
        """Say whether the open file is still the one that others open by name."""
        try:
            ours, theirs = os.fstat(self._descriptor), os.stat(self._path)
        except OSError:
            return False
        return os.path.samestat(ours, theirs)

    def load(self) -> ClockState | None:
        """Read the whole state, under the lock; None if there is none."""
        body = _checked(read_file(self._path), self._FORM.size)
        if body is None:
            return None
        magic, tick, hard_floor, soft_floor = self._FORM.unpack(body)
        if magic != self._MAGIC:
            return None
        return ClockState(tick=tick, hard_floor=hard_floor, soft_floor=soft_floor)

    def save(self, state: ClockState) -> None:
        """Write the state, under the lock."""
        body = self._FORM.pack(
            self._MAGIC, state.tick, state.hard_floor, state.soft_floor
        )
        _overwrite(self._path, body)

    def reopen(self) -> None:
        """Open the file that now goes by the name."""
        opened = open_private(self._path, os.O_RDWR)
        # Another thread may be reading through the old descriptor at this moment, so
        # it is closed one change later; and not if its number is no longer ours.
        if _is_clock(self._retired):
            os.close(self._retired)
        self._retired, self._descriptor = self._descriptor, opened


def _is_clock(descriptor: int) -> bool:
    try:
        return os.pread(descriptor, 8, 0) == ClockFile._MAGIC  # noqa: SLF001 - same room
    except OSError:
        return False


def _overwrite(path: str, body: bytes) -> None:
    descriptor = open_private(path, os.O_RDWR)
    try:
        os.pwrite(descriptor, body + _CRC.pack(zlib.crc32(body)), 0)
    finally:
        os.close(descriptor)


def _checked(data: bytes | None, size: int) -> bytes | None:
    """Give the body of an undamaged record."""
    # Longer is no harm: records are overwritten in place, whatever was there.
    if data is None or len(data) < size + _CRC.size:
        return None
    body = data[:size]
    return body if _CRC.unpack_from(data, size)[0] == zlib.crc32(body) else None
