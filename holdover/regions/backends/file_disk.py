"""The directory of `holdover.file`: its place, its locks, its count of bytes."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from holdover.regions.backends.host_files import (
    check_private,
    open_private,
    read_file,
)
from holdover.regions.backends.host_locks import FileLocks
from holdover.regions.errors import ConfigurationError, InsecureDirectory

STRIPES = 256
USAGE = "usage"
_MOST = 2**63  # what a count may say
NEVER = 2.0**33  # the year 2242, as a file's expiry stamp


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


def check_directory(path: str) -> bool:
    """Refuse a directory in which somebody else could plant files.

    Returns:
        Whether it is there.

    Raises:
        InsecureDirectory: See `check_private`; or it holds links.
    """
    if not check_private(path):
        return False
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


class StripeLocks:
    """Critical sections, one of 256 per group of keys, across processes."""

    def __init__(self, directory: str, timeout: float) -> None:
        self._directory = directory
        self._locks = FileLocks(timeout)

    def hold(self, stripe: int) -> AbstractContextManager[int]:
        """Keep everyone else out of *stripe*; see `FileLocks.hold`."""
        return self._locks.hold(f"{self._directory}/{stripe:02x}")


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
