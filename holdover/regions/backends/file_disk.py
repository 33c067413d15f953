"""Careful file handling for `holdover.file`: private, atomic, locked, counted.

Nothing here follows a symbolic link, waits for a FIFO, or trusts the umask.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import secrets
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    InsecureDirectory,
)
from holdover.regions.forks import renew_after_fork

STRIPES = 256
USAGE = "usage"
TEMPORARY = ".tmp-"
_MOST = 2**63  # what a count may say
NEVER = 2.0**33  # the year 2242, as a file's expiry stamp

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SPINS_BEFORE_SLEEPING = 20


def directory_named(arguments: Mapping[str, Any]) -> str:
    """Take the directory from a backend's arguments.

    Raises:
        ConfigurationError: There is none, or it is no path.
    """
    path = arguments.get("path")
    if not path:
        raise ConfigurationError(
            "holdover.file needs the argument 'path', the directory to keep files in"
        )
    try:
        return str(os.path.realpath(os.fsdecode(path)))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"path must be a directory, got {path!r}") from error


def check_private(path: str) -> bool:
    """Refuse a directory in which somebody else could plant files.

    Returns:
        Whether it is there.

    Raises:
        InsecureDirectory: It belongs to another user, others may write to it, it holds
            links, or it is not a directory.
    """
    try:
        found = os.stat(path)
    except OSError:
        return False  # not there yet, or out of reach: the operations will tell
    if not stat.S_ISDIR(found.st_mode):
        raise InsecureDirectory(f"{path} is not a directory")
    if found.st_uid != os.geteuid():
        raise InsecureDirectory(
            f"{path} belongs to user id {found.st_uid}, not to this process's user "
            f"({os.geteuid()}): give the cache a directory of its own"
        )
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise InsecureDirectory(
            f"{path} can be written by other users (mode "
            f"{stat.S_IMODE(found.st_mode):o}): chmod 700 it"
        )
    _refuse_links(path)
    return True


def _refuse_links(path: str) -> None:
    try:
        with os.scandir(path) as inside:
            links = [
                one.name
                for one in inside
                if one.is_symlink() and one.name != USAGE and one.is_dir()
            ]
    except OSError:
        return  # the operations will tell
    if links:
        raise InsecureDirectory(f"{path} holds links to other directories: {links}")


def make_private(path: str) -> None:
    """Make a directory, and those above it, for this user only, whatever the umask."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_private(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        _refuse_foreign(path)
    else:
        os.chmod(path, 0o700)


def _refuse_foreign(path: str) -> None:
    """Refuse a directory that somebody else was quicker to make, or a link to one."""
    found = os.lstat(path)
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{path} is not a directory of this process's user")


def read_file(path: str) -> bytes | None:
    """Read a whole file; None if it is not there or not a plain file of ours."""
    return _read(path, lambda size: (0, size))


def read_tail(path: str, length: int) -> bytes | None:
    """Read the last *length* bytes of a file (fewer if it is shorter)."""
    return _read(path, lambda size: (max(0, size - length), length))


def write_temporary(directory: str, data: bytes, expires_at: float) -> str:
    """Write *data* to a new file beside its goal, ready to be renamed.

    Its modification time is *expires_at*, so that a purge need not open it.
    """
    path = f"{directory}/{TEMPORARY}{secrets.token_hex(8)}"
    descriptor = open_private(path, os.O_WRONLY | os.O_EXCL)
    try:
        try:
            _write_all(descriptor, data)
            os.utime(descriptor, (expires_at, expires_at))
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(path)
        raise
    return path


def open_private(path: str, flags: int) -> int:
    """Open a file of ours, making it (and its directory) readable by us alone."""
    try:
        descriptor = os.open(path, flags | _CREATE, 0o600)
    except FileNotFoundError:
        make_private(os.path.dirname(path))
        descriptor = os.open(path, flags | _CREATE, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def unlink(path: str) -> bool:
    """Remove a file; False if there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _read(path: str, part: Callable[[int], tuple[int, int]]) -> bytes | None:
    descriptor = _open_plain(path)
    if descriptor is None:
        return None
    try:
        found = os.fstat(descriptor)
        # The owner is asked every time (0.7 us): if the directory is removed, another
        # user may be quicker to make it again, and what he plants would be unpickled.
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            return None
        offset, length = part(found.st_size)
        data = os.pread(descriptor, length, offset)
        while len(data) < length:
            more = os.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data
    finally:
        os.close(descriptor)


def _open_plain(path: str) -> int | None:
    """Open for reading; links, sockets and the like are nothing."""
    try:
        return os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISREG(os.lstat(path).st_mode):
                raise
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class StripeLocks:
    """Short critical sections, one of 256 per group of keys, across processes.

    The kernel frees a lock whose process dies. Lock files are never removed: a
    process could hold the removed one while another locks its successor.
    """

    def __init__(self, directory: str, timeout: float) -> None:
        self._directory = directory
        self._timeout = timeout
        self._open: set[io.FileIO] = set()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Let go of the parent's locks, which a child would otherwise keep locked."""
        for file in self._open:
            file.close()
        self._open = set()

    @contextmanager
    def hold(self, stripe: int) -> Iterator[None]:
        """Keep everyone else out of *stripe*, in this process or another.

        Raises:
            BackendError: It was not free within the timeout.
        """
        deadline = time.monotonic() + self._timeout
        descriptor = open_private(f"{self._directory}/{stripe:02x}", os.O_RDWR)
        # A file object, since that is closed, and so unlocked, even if an exception
        # from outside (a signal, a time limit) strikes between two steps.
        with io.FileIO(descriptor, "r+") as file:
            self._open.add(file)
            try:
                self._lock_file(descriptor, deadline)
                yield
            finally:
                self._open.discard(file)
                # Closing alone would not unlock what a fork's child has inherited.
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _lock_file(self, descriptor: int, deadline: float) -> None:
        # Not a blocking flock: that could not time out, and would stop a whole
        # process of greenlets.
        spins = 0
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BackendError(
                        f"a lock file was not free for {self._timeout} s"
                    ) from None
                spins += 1
                time.sleep(0 if spins < _SPINS_BEFORE_SLEEPING else 0.0005)
            else:
                return


class Usage:
    """How many bytes each stripe holds, counted in one small file.

    A stripe's count is changed only under its lock. A crash may leave a count wrong;
    it is put right when its stripe is next scanned.
    """

    _COUNTS = struct.Struct(f"<{STRIPES}Q")
    _COUNT = struct.Struct("<Q")

    def __init__(self, path: str) -> None:
        self._path = path

    def total(self) -> int:
        """Bytes in all stripes together."""
        return sum(self.counts())

    def add(self, stripe: int, size: int) -> None:
        """Count *size* more (or, below zero, fewer) bytes."""
        self._change(stripe, lambda before: before + size)

    def put(self, stripe: int, size: int) -> None:
        """Correct a count."""
        self._change(stripe, lambda _before: size)

    def counts(self) -> tuple[int, ...]:
        """Bytes in each stripe."""
        data = read_file(self._path) or b""
        return self._COUNTS.unpack(
            data[: self._COUNTS.size].ljust(self._COUNTS.size, b"\0")
        )

    def _change(self, stripe: int, change: Callable[[int], int]) -> None:
        offset = stripe * self._COUNT.size
        # A full disk must not fail a removal: the count is put right by a scan.
        with contextlib.suppress(OSError):
            descriptor = open_private(self._path, os.O_RDWR)
            try:
                found = os.pread(descriptor, self._COUNT.size, offset)
                (before,) = self._COUNT.unpack(found.ljust(self._COUNT.size, b"\0"))
                after = max(0, min(change(before), _MOST))
                os.pwrite(descriptor, self._COUNT.pack(after), offset)
            finally:
                os.close(descriptor)
