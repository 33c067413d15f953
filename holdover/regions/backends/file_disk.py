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

    def add(self, stripe: int, size: int) -> int:
        """Count *size* more (or, below zero, fewer) bytes; give how many there are.

        Nothing is read where nothing changes, and that may be called 0.
        """
        return self._change(stripe, lambda before: before + size) if size else 0

    def put(self, stripe: int, size: int) -> None:
        """Correct a count."""
        self._change(stripe, lambda _before: size)

    def counts(self) -> tuple[int, ...]:
        """Bytes in each stripe."""
        return self._unpacked(read_file(self._path) or b"")

    def _unpacked(self, data: bytes) -> tuple[int, ...]:
        size = self._COUNTS.size
        return self._COUNTS.unpack(data[:size].ljust(size, b"\0"))

    def _change(self, stripe: int, change: Callable[[int], int]) -> int:
        """Change a count; give the bytes in all, 0 if that could not be done."""
        # A full disk must not fail a removal: the count is put right by a scan.
        with contextlib.suppress(OSError):
            descriptor = open_private(self._path, os.O_RDWR)
            try:
                counts = self._unpacked(os.pread(descriptor, self._COUNTS.size, 0))
                before = counts[stripe]
                after = max(0, min(change(before), _MOST))
                data = self._COUNT.pack(after)
                os.pwrite(descriptor, data, stripe * self._COUNT.size)
            finally:
                os.close(descriptor)
            return sum(counts) + after - before
        return 0
