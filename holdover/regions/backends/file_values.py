"""The values of `holdover.file`: how a file is read without a lock, and replaced.

A small value is written into a spare file of its directory, which then changes names
with the old one, that being the next spare. Nothing is made or removed for it: on ext4
that takes 14 us, and a rename over the old file 450, most of it for the new file's
blocks. So whoever reads may be reading a file that has just become the spare, and is
being written: the nanoseconds of its modification time hold a sum of its name and what
is in it, by which that is noticed. The seconds are its expiry, for a purge.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from holdover.regions.backends.host_files import (
    open_plain,
    open_private,
    read_part,
    unlink,
    write_temporary,
)
from holdover.regions.envelope import TRAILER_SIZE, fence_of

SPARE = ".spare"
DAMAGED = b""
"""What is read of a file that was not written whole: no envelope, so nothing."""

_SMALL = 4096  # bytes: a block, which is written in one go and stays where it is
_MOST_KEPT = 2048
_SECOND = 1_000_000_000  # in nanoseconds
_NEVER = 2**33  # seconds: the year 2242, as a file's expiry
_EXCHANGE = 2  # RENAME_EXCHANGE of <linux/fs.h>
_HERE = -100  # AT_FDCWD of <fcntl.h>


State = tuple[int, int, int, int]


class Torn(Exception):
    """What was read is not what was written: it may have changed meanwhile."""


def read_value(path: str) -> bytes | None:
    """Read a value's file; None if it is not there or not a plain file of ours.

    Raises:
        Torn: Without its lock, somebody may be writing; with it, it is damaged.
    """
    read = _read(path, _whole)
    return None if read is None else read[0]


def read_locked(path: str) -> bytes | None:
    """Do as `read_value` under the value's lock, where nothing is about to change."""
    try:
        return read_value(path)
    except Torn:
        return DAMAGED


class ValueFile:
    """A value's file that is read again and again, most often unchanged.

    It is the same file with the same bytes while its inode and all its times are the
    same, one of which tells of the bytes. To ask for those takes 2 us, and to read it
    6. Only what is small is kept.

    Args:
        path: The file.
    """

    __slots__ = ("_known", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: tuple[State | None, bytes] = None, DAMAGED  # changes in one step

    def read(self) -> bytes | None:
        """Do as `read_value` does.

        Raises:
            Torn: See there.
        """
        known, data = self._known
        if known is not None:
            try:
                now = os.lstat(self._path)
                if (now.st_ino, now.st_mtime_ns, now.st_ctime_ns, now.st_size) == known:
                    return data  # `_state`, without calling it
            except FileNotFoundError:
                return None
        read = _read(self._path, _whole)
        if read is None:
            return None
        data, found = read
        if len(data) <= _MOST_KEPT and found.st_mtime_ns % _SECOND:
            self._known = _state(found), data
        return data


def fence_at(path: str) -> int | None:
    """Read the fence of what is stored, under the lock; None if there is nothing."""
    try:
        read = _read(path, lambda size: (max(0, size - TRAILER_SIZE), TRAILER_SIZE))
    except Torn:
        return fence_of(DAMAGED)
    return None if read is None else fence_of(read[0])


def size_of(path: str) -> int:
    """Give the bytes of a file; 0 if there is none."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A value that is ready to be put where it belongs.

    Attributes:
        path: Where it belongs.
        data: The value.
        stamp: The modification time of its file, in nanoseconds.
        temporary: The file that has it already; None if it is small.
    """

    path: str
    data: bytes
    stamp: int
    temporary: str | None

    def put(self) -> int:
        """Put it there, under the lock; give the bytes by which the file grew."""
        before = size_of(self.path)
        if self.temporary is not None:
            os.rename(self.temporary, self.path)
        else:
            spare = f"{os.path.dirname(self.path)}/{SPARE}"
            self._write_into(spare)
            # A large one has blocks that a spare should not keep.
            if not 0 < before <= _SMALL or not _exchange(spare, self.path):
                os.rename(spare, self.path)
        return len(self.data) - before

    def _write_into(self, spare: str) -> None:
        descriptor = open_private(spare, os.O_RDWR)
        try:
            if os.pwrite(descriptor, self.data, 0) < len(self.data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), spare)
            if os.fstat(descriptor).st_size > len(self.data):
                os.ftruncate(descriptor, len(self.data))
            os.utime(descriptor, ns=(self.stamp, self.stamp))
        finally:
            os.close(descriptor)


@contextmanager
def drafted(path: str, data: bytes, expires_at: float) -> Iterator[Draft]:
    """Prepare what takes time before the lock is held; nothing of it stays.

    Args:
        path: Where the value is to be.
        data: The value.
        expires_at: From when on a purge may remove it (wall clock).
    """
    stamp = math.ceil(min(expires_at, _NEVER)) * _SECOND
    if len(data) <= _SMALL:
        yield Draft(path, data, stamp + _sum(path, data), None)
        return
    temporary = write_temporary(os.path.dirname(path), data, stamp)
    try:
        yield Draft(path, data, stamp, temporary)
    finally:
        unlink(temporary)


def has_expired(found: os.stat_result, now: float) -> bool:
    """Say whether a value's file may be removed at the instant *now* (wall clock)."""
    return found.st_mtime_ns // _SECOND <= now


def _whole(size: int) -> tuple[int, int]:
    return 0, size


def _state(found: os.stat_result) -> State:
    """Give what changes with whatever happens to a file."""
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _read(
    path: str, part: Callable[[int], tuple[int, int]]
) -> tuple[bytes, os.stat_result] | None:
    descriptor = open_plain(path)
    if descriptor is None:
        return None
    try:
        try:
            data = os.pread(descriptor, _SMALL + 1, 0)
        except OSError:  # a directory, a FIFO; what fails of ours fails again
            data = b""
        # Only now, so that it tells of what has been read. The owner is asked every
        # time (0.7 us): if the directory is removed, another user may be quicker to
        # make it again, and what he plants would be unpickled.
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            return None
        size = found.st_size
        if size > _SMALL:
            return read_part(descriptor, *part(size)), found
        told = found.st_mtime_ns % _SECOND
        # Of a file that a copy has been restored from, the seconds alone may be left.
        if told and told != _sum(path, data):
            raise Torn(path)
        return data, found
    finally:
        os.close(descriptor)


def _sum(path: str, data: bytes) -> int:
    name = path[path.rindex("/") + 1 :].encode()
    return zlib.crc32(data, zlib.crc32(name)) % _SECOND


def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """Find the call that exchanges two names, which Python does not offer."""
    try:
        found = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # pragma: no cover - Linux has it
        return None
    path = ctypes.c_char_p
    found.argtypes = (ctypes.c_int, path, ctypes.c_int, path, ctypes.c_uint)
    return found


_RENAME = _renameat2()


def _exchange(one: str, other: str) -> bool:
    """Have two files change names in one step; False if that cannot be."""
    if _RENAME is None:
        return False  # pragma: no cover - Linux has it
    return not _RENAME(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
