"""Short critical sections across the processes of a host."""

from __future__ import annotations

import fcntl
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from holdover.regions.backends.host_files import open_private
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork

_SPINS_BEFORE_SLEEPING = 20


class FileLocks:
    """Critical sections, each named by a lock file, across threads and processes.

    The kernel frees a lock whose process dies. Lock files are never removed: a
    process could hold the removed one while another locks its successor.

    Args:
        timeout: Seconds that one waits for another.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._open: set[io.FileIO] = set()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Let go of the parent's locks, which a child would otherwise keep locked."""
        for file in self._open:
            file.close()
        self._open = set()

    @contextmanager
    def hold(self, path: str) -> Iterator[int]:
        """Keep everyone else out, in this process or another; give the open file.

        Raises:
            BackendError: It was not free within the timeout.
        """
        deadline = time.monotonic() + self._timeout
        descriptor = open_private(path, os.O_RDWR)
        # A file object, since that is closed, and so unlocked, even if an exception
        # from outside (a signal, a time limit) strikes between two steps.
        with io.FileIO(descriptor, "r+") as file:
            self._open.add(file)
            try:
                self._lock_file(descriptor, deadline)
                yield descriptor
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
