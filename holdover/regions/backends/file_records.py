"""The two small records that `holdover.file` keeps beside its values."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from holdover.regions.backends.base import ClockState
from holdover.regions.backends.file_disk import open_private, read_file
from holdover.regions.errors import BackendError

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
    queued: bool
    boot: bytes = BOOT_ID

    _FORM = struct.Struct("<4s32sQd?36s")
    _MAGIC = b"HLDL"

    def remaining(self, now: float) -> float:
        """Seconds left at *now* (steady clock); none if it is from another boot."""
        return self.lapses_at - now if self.boot == BOOT_ID else 0.0

    def save(self, path: str) -> None:
        """Write the record in place; the caller holds the stripe's lock."""
        body = self._FORM.pack(
            self._MAGIC,
            self.token.encode(),
            self.fence,
            self.lapses_at,
            self.queued,
            self.boot,
        )
        _overwrite(path, body)

    @classmethod
    def load(cls, path: str) -> LeaseRecord | None:
        """Read the record; None if there is none or it is damaged."""
        body = _checked(read_file(path), cls._FORM.size)
        if body is None:
            return None
        magic, token, fence, lapses_at, queued, boot = cls._FORM.unpack(body)
        if magic != cls._MAGIC:
            return None
        return cls(
            token=token.decode("ascii", "replace"),
            fence=fence,
            lapses_at=lapses_at,
            queued=queued,
            boot=boot,
        )


class ClockFile:
    """A region's clock in a file, whose tick costs one ``stat`` to see.

    The file's modification time is the tick, in microseconds, and a mark in its last
    three digits. So it is always the file that now goes by the name that is asked, and
    nothing is kept open. Whoever writes the content moves the time without the mark, so
    that readers wait until it is stamped; the content is overwritten in place, because
    that works on a full disk.
    """

    _FORM = struct.Struct("<8s3Q")
    _MAGIC = b"HLDCLOCK"
    _NANOSECONDS = 1000  # per tick
    _MARK = 777

    def __init__(self, path: str) -> None:
        self.path = path

    def tick(self) -> int | None:
        """Read the tick; None if there is no file of ours, or it is being written."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        tick, mark = divmod(found.st_mtime_ns, self._NANOSECONDS)
        return tick if mark == self._MARK and found.st_uid == os.geteuid() else None

    def load(self) -> ClockState | None:
        """Read the whole state, under the lock; None if there is none."""
        body = _checked(read_file(self.path), self._FORM.size)
        if body is None:
            return None
        magic, tick, hard_floor, soft_floor = self._FORM.unpack(body)
        if magic != self._MAGIC:
            return None
        return ClockState(tick=tick, hard_floor=hard_floor, soft_floor=soft_floor)

    def save(self, state: ClockState) -> None:
        """Write the state, under the lock.

        Raises:
            BackendError: The file system keeps no exact times.
        """
        body = self._FORM.pack(
            self._MAGIC, state.tick, state.hard_floor, state.soft_floor
        )
        _overwrite(self.path, body)
        stamp = state.tick * self._NANOSECONDS + self._MARK
        os.utime(self.path, ns=(stamp, stamp), follow_symlinks=False)
        if self.tick() != state.tick:
            raise BackendError(
                f"the file system of {self.path} keeps no times to the nanosecond, "
                "which holdover.file needs"
            )


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
