"""Keeping the files of `holdover.file` within their bound, and free of leftovers."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
_AT_ONCE = 32  # files that are removed under one lock: 0.5 ms
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
            return sum(self._purge(stripe) for stripe in range(STRIPES))

    def _purge(self, stripe: int) -> int:
        """Look without the lock, and remove under it, a few files at a time.

        So no writer waits for longer than that takes, however many there are.
        """
        before = self._usage.counts()[stripe]
        found = self._contents(stripe)
        removed = []
        for start in range(0, len(found.others), _AT_ONCE):
            with self._locks.hold(stripe):
                sizes = self._remove_dead(found.others[start : start + _AT_ONCE])
                self._usage.add(stripe, -sum(sizes))
            removed += sizes
        self._recount(stripe, before - sum(removed), _size_of(found.living))
        return len(removed)

    def _recount(self, stripe: int, counted: int, found: int) -> None:
        """Put a count right, unless somebody has written since it was *counted*."""
        if counted != found:
            with self._locks.hold(stripe):
                if self._usage.counts()[stripe] == max(0, counted):
                    self._usage.put(stripe, found)

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

    def _sweep(self, stripe: int, *, keep: float = 1.0, spare: str = "") -> None:
        """Remove what has expired in a stripe, then the oldest beyond a share of it."""
        if not (os.path.isdir(self._directory(stripe)) or self._usage.counts()[stripe]):
            return  # as most of a small cache are: nobody need wait for a lock
        with self._locks.hold(stripe):
            found = self._contents(stripe)
            self._remove_dead(found.others)
            size = _size_of(found.living)
            goal, kept = size * keep, found.living
            kept.sort(key=lambda pair: pair[1].st_ctime_ns, reverse=True)
            while size > goal and kept:
                path, state = kept.pop()
                if path != spare:
                    size -= state.st_size
                    unlink(path)
            self._usage.put(stripe, size)

    def _directory(self, stripe: int) -> str:
        return f"{self._root}/{stripe:02x}"

    def _contents(self, stripe: int) -> _Contents:
        """List what is in a stripe."""
        now, living, others = self._time.wall(), [], []
        with (
            contextlib.suppress(FileNotFoundError),
            os.scandir(self._directory(stripe)) as found_files,
        ):
            for file in found_files:
                with contextlib.suppress(FileNotFoundError):
                    found = file.stat(follow_symlinks=False)
                    if _is_value(file.name) and not has_expired(found, now):
                        living.append((file.path, found))
                    else:
                        others.append(file.path)
        return _Contents(living, others)

    def _remove_dead(self, paths: Sequence[str]) -> list[int]:
        """Remove what has expired or was abandoned; give the sizes of values.

        Called under the lock: what was listed before may have been replaced.
        """
        now, sizes = self._time.wall(), []
        for path in paths:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                found, name = os.lstat(path), os.path.basename(path)
                if name == SPARE:
                    unlink(path)
                elif not _is_value(name):
                    _remove_abandoned(path, found)
                elif has_expired(found, now) and unlink(path):
                    sizes.append(found.st_size)
        return sizes


class _Contents(NamedTuple):
    """What is in a stripe.

    Attributes:
        living: Values that have not expired.
        others: The paths of those that have, and of what is no value.
    """

    living: list[tuple[str, os.stat_result]]
    others: list[str]


def _is_value(name: str) -> bool:
    return not (name.startswith(TEMPORARY) or name.endswith(LEASE) or name == SPARE)


def _size_of(files: Iterable[tuple[str, os.stat_result]]) -> int:
    return sum(found.st_size for _, found in files)


def _remove_abandoned(path: str, found: os.stat_result) -> None:
    # By the host's own clock: the kernel stamped these, not a test's.
    if time.time() - found.st_ctime > _ABANDONED_AFTER:
        unlink(path)
