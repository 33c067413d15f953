"""Keeping the files of `holdover.file` within their bound, and free of leftovers."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
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
_LOOKED_AT = 128  # files of which a writer who goes beyond the bound finds the oldest
_PART = 4  # one of so many of them goes
_STEPS = 8  # as often at most by one writer: the next one goes on


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
        counted = self._usage.counts()[stripe]
        found = self._contents(stripe)
        self._recount(stripe, counted, found)
        removed = []
        for start in range(0, len(found.others), _AT_ONCE):
            some = found.others[start : start + _AT_ONCE]
            removed += self._remove(stripe, some, self._remove_dead)
        return len(removed)

    def _remove(self, stripe: int, some: Sequence[_File], remove: _Remover) -> _Sizes:
        """Remove and count under the stripe's lock; give the sizes of values."""
        with self._locks.hold(stripe):
            sizes = remove(some)
            self._usage.add(stripe, -sum(sizes))
        return sizes

    def _recount(self, stripe: int, counted: int, found: _Contents) -> None:
        """Put a count right, unless somebody has written since it was *counted*.

        Which the count alone does not tell: what was away for a moment may be back.
        """
        if counted == found.size:
            return
        with self._locks.hold(stripe):
            is_same = self._changed_at(stripe) == found.changed_at
            if is_same and self._usage.counts()[stripe] == counted:
                self._usage.put(stripe, found.size)

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
                self._purge(stripe)

    def _cull(self, spare: str) -> None:
        """Remove what is too much, or as much as one writer can be asked to wait for.

        Nothing is listed that would take long: of some files taken at random, what has
        expired goes, and then the oldest.
        """
        for _ in range(_STEPS):
            if self._usage.total() <= self._max_bytes:
                return
            if not self._cull_some(spare):
                return

    def _cull_some(self, spare: str) -> bool:
        """Look at some files, and remove those of least use; say whether any went."""
        found = self._sample()
        sizes = self._remove_everywhere(found.others, self._remove_dead)
        if sizes and self._usage.total() <= self._max_bytes:
            return True
        oldest = sorted(found.living, key=lambda file: file.state.st_ctime_ns)
        oldest = [file for file in oldest if file.path != spare]
        some = oldest[: max(1, len(oldest) // _PART)]
        return bool(self._remove_everywhere(some, _remove_unchanged) or sizes)

    def _sample(self) -> _Contents:
        """Look at some files, of stripes that are taken at random."""
        counts = self._usage.counts()
        stripes = [stripe for stripe, count in enumerate(counts) if count]
        random.shuffle(stripes)
        living: list[_File] = []
        others: list[_File] = []
        for stripe in stripes:
            room = _LOOKED_AT - len(living) - len(others)
            if room <= 0:
                break
            found = self._contents(stripe, room)
            if found.is_all:
                self._recount(stripe, counts[stripe], found)
            living += found.living
            others += found.others
        return _Contents(living, others)

    def _changed_at(self, stripe: int) -> int:
        """Tell when a name last came, went or changed hands there."""
        try:
            return os.stat(self._directory(stripe)).st_mtime_ns
        except FileNotFoundError:
            return 0

    def _remove_everywhere(self, some: Iterable[_File], remove: _Remover) -> _Sizes:
        by_stripe: dict[int, list[_File]] = {}
        for file in some:
            by_stripe.setdefault(file.stripe, []).append(file)
        return [
            size
            for stripe, files in by_stripe.items()
            for size in self._remove(stripe, files, remove)
        ]

    def _directory(self, stripe: int) -> str:
        return f"{self._root}/{stripe:02x}"

    def _contents(self, stripe: int, most: int | None = None) -> _Contents:
        """Look at the files of a stripe, or at so many of them taken at random."""
        changed_at, now = self._changed_at(stripe), self._time.wall()
        names = self._names(stripe)
        is_all = most is None or len(names) <= most
        living: list[_File] = []
        others: list[_File] = []
        for name in names if is_all else random.sample(names, most or 0):
            path = f"{self._directory(stripe)}/{name}"
            with contextlib.suppress(FileNotFoundError):
                file = _File(path, stripe, os.lstat(path))
                is_living = file.is_value and not has_expired(file.state, now)
                (living if is_living else others).append(file)
        return _Contents(living, others, changed_at, is_all=is_all)

    def _names(self, stripe: int) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return os.listdir(self._directory(stripe))
        return []

    def _remove_dead(self, files: Sequence[_File]) -> _Sizes:
        """Remove what has expired or was abandoned; give the sizes of values.

        Called under the lock: what was listed before may have been replaced.
        """
        now, sizes = self._time.wall(), []
        for file in files:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                found = os.lstat(file.path)
                if file.name == SPARE:
                    unlink(file.path)
                elif not file.is_value:
                    _remove_abandoned(file.path, found)
                elif has_expired(found, now) and unlink(file.path):
                    sizes.append(found.st_size)
        return sizes


class _File(NamedTuple):
    """A file as it was found.

    Attributes:
        path: Its path.
        stripe: The stripe that it is in.
        state: What the kernel says of it.
    """

    path: str
    stripe: int
    state: os.stat_result

    @property
    def name(self) -> str:
        """Its name alone."""
        return os.path.basename(self.path)

    @property
    def is_value(self) -> bool:
        """Whether it is a value, living or not."""
        name = self.name
        return not (name.startswith(TEMPORARY) or name.endswith(LEASE) or name == SPARE)


class _Contents(NamedTuple):
    """What is in a stripe, or some of it.

    Attributes:
        living: Values that have not expired.
        others: Those that have, and what is no value.
        changed_at: When the stripe's names had changed last, before it was looked at.
        is_all: Whether it is all that is there.
    """

    living: list[_File]
    others: list[_File]
    changed_at: int = 0
    is_all: bool = False

    @property
    def size(self) -> int:
        """The bytes that are in values, living or not."""
        return _size_of(self.living) + _size_of(
            file for file in self.others if file.is_value
        )


_Sizes = list[int]
_Remover = Callable[[Sequence[_File]], _Sizes]


def _size_of(files: Iterable[_File]) -> int:
    return sum(file.state.st_size for file in files)


def _remove_unchanged(files: Sequence[_File]) -> _Sizes:
    """Remove values, but for those that have been replaced; give their sizes."""
    sizes = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(file.path)
            if _version(found) == _version(file.state) and unlink(file.path):
                sizes.append(found.st_size)
    return sizes


def _version(state: os.stat_result) -> tuple[int, int]:
    return state.st_ino, state.st_ctime_ns


def _remove_abandoned(path: str, found: os.stat_result) -> None:
    # By the host's own clock: the kernel stamped these, not a test's.
    if time.time() - found.st_ctime > _ABANDONED_AFTER:
        unlink(path)
