"""The region clocks of `holdover.file`: one small file each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from holdover.regions.backends.base import translated
from holdover.regions.backends.file_disk import StripeLocks
from holdover.regions.backends.file_records import overwrite, stripe
from holdover.regions.backends.host_files import read_file
from holdover.regions.backends.host_records import clock_packed, clock_unpacked, digest
from holdover.regions.errors import BackendError
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import TimeSource


class ClockFile:
    """A region's clock in a file, whose tick costs one ``stat`` to see.

    The file's modification time is the tick, in microseconds, and a sign in its last
    three digits. So it is always the file that now goes by the name that is asked, and
    nothing is kept open. Whoever writes the content moves the time without the sign, so
    that readers wait until it is stamped; the content is overwritten in place, because
    that works on a full disk.
    """

    _NANOSECONDS = 1000  # per tick
    _SIGN = 777

    def __init__(self, path: str) -> None:
        self.path = path

    def tick(self) -> int | None:
        """Read the tick; None if there is no file of ours, or it is being written."""
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        tick, sign = divmod(found.st_mtime_ns, self._NANOSECONDS)
        return tick if sign == self._SIGN and found.st_uid == os.geteuid() else None

    def load(self) -> ClockState | None:
        """Read the whole state, under the lock; None if there is none."""
        return clock_unpacked(read_file(self.path))

    def save(self, state: ClockState) -> ClockState:
        """Write the state, under the lock; give what has been written.

        Raises:
            BackendError: The file system keeps no exact times.
        """
        try:
            overwrite(self.path, clock_packed(state))
        except OSError:
            # On a full disk the file cannot grow, but what it holds can be replaced.
            state = state.without_marks()
            overwrite(self.path, clock_packed(state))
        stamp = state.tick * self._NANOSECONDS + self._SIGN
        os.utime(self.path, ns=(stamp, stamp), follow_symlinks=False)
        if self.tick() != state.tick:
            raise BackendError(
                f"the file system of {self.path} keeps no times to the nanosecond, "
                "which holdover.file needs"
            )
        return state


class FileClocks:
    """The clocks of all regions below one directory.

    Args:
        root: The directory.
        locks: Guard changes.
        time_source: The clocks to go by.
    """

    def __init__(self, root: str, locks: StripeLocks, time_source: TimeSource) -> None:
        self._root = root
        self._locks = locks
        self._time = time_source
        self._files: dict[str, ClockFile] = {}

    def tick(self, region: str) -> int:
        """Read the tick alone, making the clock if need be."""
        return self.reader(region)()

    def reader(self, region: str) -> Callable[[], int]:
        """Make what reads the tick of one clock, as `tick` does."""
        read = self._file(region).tick

        def tick() -> int:
            try:  # not `translated`, which takes as long as the stat
                found = read()
            except OSError as error:
                raise BackendError(f"the region clock: {error}") from error
            return self.state(region).tick if found is None else found

        return tick

    def state(self, region: str) -> ClockState:
        """Read the whole clock, making it if need be."""
        with self._opened(region) as (_, state):
            return state

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach]
    ) -> ClockState:
        """Invalidate; give the clock's new state."""
        with self._opened(region) as (clock, state):
            now = self._time.wall()
            return clock.save(state.advanced(now, hard=hard, reaches=reaches))

    @contextmanager
    def _opened(self, region: str) -> Iterator[tuple[ClockFile, ClockState]]:
        """Hold the clock's lock, with its file there and valid."""
        clock = self._file(region)
        with (
            translated("the region clock", OSError),
            self._locks.hold(stripe(clock.path)),
        ):
            state = clock.load()
            if state is None:
                state = ClockState.seeded(self._time.wall())
            if clock.tick() != state.tick:
                state = clock.save(state)
            yield clock, state

    def _file(self, region: str) -> ClockFile:
        clock = self._files.get(region)
        if clock is None:
            path = f"{self._root}/clocks/{digest(region)}"
            clock = self._files[region] = ClockFile(path)
        return clock
