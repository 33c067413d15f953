"""Careful file handling for backends of one host: private, atomic, unhurt by links.

Nothing here follows a symbolic link, waits for a FIFO, or trusts the umask.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

from holdover.regions.errors import InsecureDirectory

TEMPORARY = ".tmp-"

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_OURS = os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_private(path: str) -> bool:
    """Refuse a directory in which somebody else could plant files.

    Returns:
        Whether it is there.

    Raises:
        InsecureDirectory: It belongs to another user, others may write to it, or it is
            not a directory.
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
        advice = "chmod 700 it"
        if (
            found.st_mode & stat.S_ISVTX
        ):  # it is everybody's, as /tmp, and has to stay so
            advice = "give the cache a directory of its own in it"
        raise InsecureDirectory(
            f"{path} can be written by other users (mode "
            f"{stat.S_IMODE(found.st_mode):o}): {advice}"
        )
    return True


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
    descriptor = open_plain(path)
    if descriptor is None:
        return None
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            return None
        return read_part(descriptor, 0, found.st_size)
    finally:
        os.close(descriptor)


def read_part(descriptor: int, offset: int, length: int) -> bytes:
    """Read a part of an open file (less, where it ends before)."""
    data = os.pread(descriptor, length, offset)
    while len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def open_plain(path: str) -> int | None:
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


def write_temporary(directory: str, data: bytes, stamp: int) -> str:
    """Write *data* to a new file beside its goal, ready to be renamed.

    Its modification time is *stamp*, in nanoseconds, so that a purge need not open it.
    """
    path = f"{directory}/{TEMPORARY}{secrets.token_hex(8)}"
    descriptor = open_private(path, os.O_WRONLY | os.O_EXCL)
    try:
        try:
            _write_all(descriptor, data)
            os.utime(descriptor, ns=(stamp, stamp))
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(path)
        raise
    return path


def open_private(path: str, flags: int) -> int:
    """Open a file of ours, making it (and its directory) readable by us alone."""
    if not flags & os.O_EXCL:
        # Nearly always it is there, and its mode need not be set (2 us of a journal).
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags | _OURS)
    try:
        descriptor = os.open(path, flags | _OURS | os.O_CREAT, 0o600)
    except FileNotFoundError:
        make_private(os.path.dirname(path))
        descriptor = os.open(path, flags | _OURS | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def unlink(path: str) -> bool:
    """Remove a file; False if there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
