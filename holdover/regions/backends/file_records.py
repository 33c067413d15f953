"""How `holdover.file` writes its small records: in place, under a stripe's lock."""

from __future__ import annotations

import errno
import os

from holdover.regions.backends.host_files import open_private, read_file
from holdover.regions.backends.host_records import LeaseRecord


def load_lease(path: str) -> LeaseRecord | None:
    """Read a lease's record; None if there is none or it is damaged."""
    return LeaseRecord.unpacked(read_file(path))


def overwrite(path: str, data: bytes) -> None:
    """Write a record in place.

    Raises:
        OSError: It could not be written whole.
    """
    descriptor = open_private(path, os.O_RDWR)
    try:
        if os.pwrite(descriptor, data, 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(descriptor)


def stripe(path: str) -> int:
    """Tell which of the locks guards the file at *path*."""
    return int(path[path.rindex("/") + 1 :][:2], 16)
