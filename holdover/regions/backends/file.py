"""`holdover.file`: one file per key, shared by the threads and processes of a host.

A hit opens, reads and closes one file and takes no lock. Whatever changes a key does
so in a critical section of microseconds around a rename or an unlink; a lease is a
small record beside the value, so that it can travel, and lapses by itself.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dogpile.cache.api import DefaultSerialization

from holdover.regions.backends.base import (
    Backend,
    Busy,
    Capabilities,
    Changed,
    ClockState,
    Grant,
    Lease,
    Stored,
    positive,
    translated,
)
from holdover.regions.backends.file_culling import LEASE, Culler
from holdover.regions.backends.file_disk import (
    NEVER,
    USAGE,
    StripeLocks,
    Usage,
    check_private,
    directory_named,
    read_file,
    read_tail,
    unlink,
    write_temporary,
)
from holdover.regions.backends.file_records import ClockFile, LeaseRecord
from holdover.regions.envelope import TRAILER_SIZE, fence_of, new_fence
from holdover.regions.errors import (
    BackendError,
    InsecureDirectory,
    ValueTooLarge,
)
from holdover.regions.lifetime import seconds
from holdover.regions.timesource import SYSTEM_TIME, TimeSource

DEFAULT_MAX_BYTES = 1 << 30


class FileBackend(DefaultSerialization, Backend):
    """Entries in files below one directory, which is made for this user only.

    Arguments:
        path: The directory (required). All processes that share the cache give the
            same; it must be on a local file system.
        max_bytes: How many bytes of values are kept, about (default 1 GiB). Beyond,
            expired entries are removed, then the oldest.
        lock_timeout: Seconds that a write waits for another (default 1).
        time_source: The clocks to go by; for tests.
    """

    capabilities = Capabilities(
        shared_by="host", durable=True, keeps_objects=False, bounded_by=("max_bytes",)
    )
    known_arguments = MappingProxyType(
        {
            "path": str,
            "max_bytes": int,
            "lock_timeout": float,
            "time_source": TimeSource,
        }
    )

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self._root = directory_named(arguments)
        self._max_bytes = positive(arguments, "max_bytes", DEFAULT_MAX_BYTES)
        self._time = arguments.get("time_source", SYSTEM_TIME)
        self._is_checked = check_private(self._root)
        timeout = seconds(arguments.get("lock_timeout", 1.0), "lock_timeout")
        self._locks = StripeLocks(f"{self._root}/locks", timeout)
        self._usage = Usage(f"{self._root}/{USAGE}")
        self._culler = Culler(
            self._root, self._locks, self._usage, self._max_bytes, self._time
        )
        self._clocks: dict[str, ClockFile] = {}

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        self._check()
        try:
            stored = read_file(self._path(key))
            tick = self._clock_file(region).tick()
        except OSError as error:
            raise BackendError(f"reading a cache file: {error}") from error
        return stored, self.clock(region).tick if tick is None else tick

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        path = self._path(key)
        if len(stored) > self._max_bytes:  # type: ignore[arg-type] # bytes
            self.remove(key)
        with self._prepared(path, stored, ttl) as temporary, self._locked(path):
            self._replace(path, temporary, stored)
            unlink(path + LEASE)
        self._culler.keep_bound(path)

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        path = self._path(key)
        with translated("removing a cache file", OSError), self._locked(path):
            return self._discard(path)

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        path = self._path(key)
        with self._prepared(path, stored, ttl) as temporary, self._locked(path):
            if _fence_at(path) != seen:
                return False
            self._replace(path, temporary, stored)
            unlink(path + LEASE)
        self._culler.keep_bound(path)
        return True

    # -- leases ----------------------------------------------------------------

    def acquire(
        self,
        key: str,
        region: str,
        *,
        ttl: float,
        seen: int | None,
        queued: bool = False,
    ) -> Grant:
        """See `Backend.acquire`."""
        path = self._path(key)
        tick = self._tick(region)
        with translated("acquiring a lease", OSError), self._locked(path):
            fence = _fence_at(path)
            if fence not in (None, seen) and (stored := read_file(path)) is not None:
                return Changed(stored, tick)
            now = self._time.steady()
            held = LeaseRecord.load(path + LEASE)
            remaining = 0.0 if held is None else held.remaining(now)
            if held is not None and remaining > 0 and (queued or not held.queued):
                return Busy(remaining)
            record = LeaseRecord(
                token=secrets.token_hex(16),
                fence=new_fence(),
                lapses_at=now + ttl,
                queued=queued,
            )
            record.save(path + LEASE)
        return _lease(key, record, tick, ttl)

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        path = self._path(lease.key)
        with translated("renewing a lease", OSError), self._locked(path):
            held = _held_by(lease.token, path)
            if held is None:
                return False
            lapses_at = self._time.steady() + ttl
            replace(held, lapses_at=lapses_at).save(path + LEASE)
            return True

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        path = self._path(key)
        tick = self._tick(region)
        with translated("adopting a lease", OSError), self._locked(path):
            held = _held_by(token, path)
            if held is None:
                return None
            lapses_at = self._time.steady() + ttl
            record = replace(
                held, token=secrets.token_hex(16), lapses_at=lapses_at, queued=False
            )
            record.save(path + LEASE)
        return _lease(key, record, tick, ttl)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        path = self._path(lease.key)
        with self._prepared(path, stored, ttl) as temporary, self._locked(path):
            held = LeaseRecord.load(path + LEASE)
            if held is None or held.fence != lease.fence:
                return None
            self._replace(path, temporary, stored)
            unlink(path + LEASE)
        self._culler.keep_bound(path)
        return self._tick(region)

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        path = self._path(lease.key)
        with translated("releasing a lease", OSError), self._locked(path):
            return _held_by(lease.token, path) is not None and unlink(path + LEASE)

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str) -> ClockState:
        """See `Backend.clock`."""
        with self._opened_clock(region) as (_, state):
            return state

    def advance(self, region: str, *, hard: bool) -> ClockState:
        """See `Backend.advance`."""
        with self._opened_clock(region) as (clock, state):
            advanced = state.advanced(self._time.wall(), hard=hard)
            clock.save(advanced)
        return advanced

    def _tick(self, region: str) -> int:
        """Read the tick alone, making the clock if need be."""
        with translated("the region clock", OSError):
            tick = self._clock_file(region).tick()
        return self.clock(region).tick if tick is None else tick

    @contextmanager
    def _opened_clock(self, region: str) -> Iterator[tuple[ClockFile, ClockState]]:
        """Hold the clock's lock, with its file there and valid."""
        clock = self._clock_file(region)
        with translated("the region clock", OSError), self._locked(clock.path):
            state = clock.load()
            if state is None:
                state = ClockState.seeded(self._time.wall())
            if clock.tick() != state.tick:
                clock.save(state)
            yield clock, state

    def _clock_file(self, region: str) -> ClockFile:
        clock = self._clocks.get(region)
        if clock is None:
            path = f"{self._root}/clocks/{_digest(region)}"
            clock = self._clocks[region] = ClockFile(path)
        return clock

    # -- housekeeping ----------------------------------------------------------

    def purge(self) -> int:
        """See `Backend.purge`. Files that a killed process left unfinished go too."""
        return self._culler.purge()

    def is_locked(self, key: str) -> bool:
        """See `Backend.is_locked`."""
        with translated("reading a lease", OSError):
            held = LeaseRecord.load(self._path(key) + LEASE)
        return held is not None and held.remaining(self._time.steady()) > 0

    # -- steps -----------------------------------------------------------------

    def _path(self, key: str) -> str:
        digest = _digest(key)
        return f"{self._root}/{digest[:2]}/{digest}"

    def _check(self) -> None:
        """Look at the directory once it is there: who made it in the meantime?"""
        if self._is_checked:
            return
        try:
            self._is_checked = check_private(self._root)
        except InsecureDirectory as error:
            raise BackendError(str(error)) from error

    @contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        self._check()
        with self._locks.hold(_stripe(path)):
            yield

    @contextmanager
    def _prepared(self, path: str, stored: Stored, ttl: float | None) -> Iterator[str]:
        """Have the value in a temporary file, which is gone afterwards."""
        if not isinstance(stored, bytes):
            raise TypeError(f"{type(self).__name__} stores bytes, not {type(stored)}")
        self._check()
        with translated("writing a cache file", OSError):
            if len(stored) > self._max_bytes:
                raise ValueTooLarge(
                    f"{len(stored)} bytes are more than max_bytes={self._max_bytes}"
                )
            expires_at = NEVER if ttl is None else self._time.wall() + ttl
            directory = os.path.dirname(path)
            temporary = write_temporary(directory, stored, min(expires_at, NEVER))
            try:
                yield temporary
            finally:
                unlink(temporary)

    def _replace(self, path: str, temporary: str, stored: Stored) -> None:
        before = _size(path)
        os.rename(temporary, path)
        self._usage.add(_stripe(path), len(stored) - before)  # type: ignore[arg-type]

    def _discard(self, path: str) -> bool:
        # The value first: what readers see is what an invalidation is about.
        before = _size(path)
        existed = unlink(path)
        unlink(path + LEASE)
        if existed:
            self._usage.add(_stripe(path), -before)
        return existed


def _digest(key: str) -> str:
    encoded = key.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=20).hexdigest()


def _stripe(path: str) -> int:
    return int(path[path.rindex("/") + 1 :][:2], 16)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def _fence_at(path: str) -> int | None:
    tail = read_tail(path, TRAILER_SIZE)
    return None if tail is None else fence_of(tail)


def _held_by(token: str, path: str) -> LeaseRecord | None:
    held = LeaseRecord.load(path + LEASE)
    return held if held is not None and held.token == token else None


def _lease(key: str, record: LeaseRecord, tick: int, ttl: float) -> Lease:
    return Lease(key=key, token=record.token, fence=record.fence, clock=tick, ttl=ttl)
