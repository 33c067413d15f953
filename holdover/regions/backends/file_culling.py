"""Keeping the files of `holdover.file` within their bound, and free of leftovers."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time

from holdover.regions.backends.base import translated
from holdover.regions.backends.file_disk import (
    STRIPES,
    StripeLocks,
    Usage,
)
from holdover.regions.backends.file_values import SPARE, has_expired
from holdover.regions.backends.host_files import TEMPORARY, unlink
from holdover.regions.errors import BackendError
from holdover.regions.timesource import TimeSource

log = logging.getLogger("holdover")

LEASE = ".lease"  # what the name of a key's lease record ends in

_ABANDONED_AFTER = 3600.0  # seconds: an unfinished temporary file of a dead process
_CULL_TO = 0.9  # of max_bytes
_KEEP_OF_STRIPE = 0.75


class Culler:
    """Removes what has expired, and the oldest of what is too much.

    Args:
        root: The cache's directory.
        locks: Its stripes' locks.
        usage: Its count of bytes.
        max_bytes: How many bytes of values may be kept.
        time_source: The clocks to go by.
    """

    def __init__(
        self,
        root: str,
        locks: StripeLocks,
        usage: Usage,
        max_bytes: int,
        time_source: TimeSource,
    ) -> None:
        self._root = root
        self._locks = locks
        self._usage = usage
        self._max_bytes = max_bytes
        self._time = time_source

    def purge(self) -> int:
        """Remove expired values and abandoned files; count the values."""
        with translated("purging", OSError):
            return sum(self._sweep(stripe) for stripe in range(STRIPES))

    def keep_bound(self, spare: str, total: int) -> None:
        """Cull some stripes if the values have outgrown their bound.

        Nobody's write fails for it: what cannot be culled now is culled later.

        Args:
            spare: The file that was just written, which stays.
            total: How many bytes there are now.
        """
        if total <= self._max_bytes:
            return
        try:
            self._recount_nonsense()
            self._cull(spare)
        except (OSError, BackendError) as error:
            log.warning("culling %s: %s", self._root, error)

    def _recount_nonsense(self) -> None:
        """Put right the counts that cannot be true, before anything is removed."""
        for stripe, count in enumerate(self._usage.counts()):
            if count > self._max_bytes:
                self._sweep(stripe)

    def _cull(self, spare: str) -> None:
        start = random.randrange(STRIPES)  # noqa: S311 - spreads the work, no secret
        for turn in range(STRIPES):
            if self._usage.total() <= self._max_bytes * (_CULL_TO if turn else 1):
                return
            self._sweep((start + turn) % STRIPES, keep=_KEEP_OF_STRIPE, spare=spare)

    def _sweep(self, stripe: int, *, keep: float = 1.0, spare: str = "") -> int:
        """Remove what has expired in a stripe, then the oldest beyond a share of it."""
        directory = f"{self._root}/{stripe:02x}"
        if not os.path.isdir(directory):
            self._usage.put(stripe, 0)
            return 0
        with self._locks.hold(stripe):
            removed, kept = self._sweep_expired(directory)
            size = sum(found.st_size for _, found in kept)
            goal = size * keep
            kept.sort(key=lambda pair: pair[1].st_ctime_ns, reverse=True)
            while size > goal and kept:
                path, found = kept.pop()
                if path != spare:
                    size -= found.st_size
                    removed += unlink(path)
            self._usage.put(stripe, size)
        return removed

    def _sweep_expired(
        self, directory: str
    ) -> tuple[int, list[tuple[str, os.stat_result]]]:
        """Remove expired values and abandoned files; give the values that stay."""
        now = self._time.wall()
        removed, kept = 0, []
        with os.scandir(directory) as found_files:
            for file in found_files:
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    found = file.stat(follow_symlinks=False)
                    if file.name.startswith(TEMPORARY) or file.name.endswith(LEASE):
                        _remove_abandoned(file.path, found)
                    elif file.name == SPARE:
                        unlink(file.path)
                    elif has_expired(found, now):
                        removed += unlink(file.path)
                    else:
                        kept.append((file.path, found))
        return removed, kept


def _remove_abandoned(path: str, found: os.stat_result) -> None:
    # By the host's own clock: the kernel stamped these, not a test's.
    if time.time() - found.st_ctime > _ABANDONED_AFTER:
        unlink(path)
