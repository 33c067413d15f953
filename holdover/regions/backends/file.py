"""`holdover.file`: one file per key, shared by the threads and processes of a host.

A hit opens, reads and closes one file and takes no lock. Whatever changes a key does
so in a critical section of microseconds around a rename or an unlink; a lease is a
small record beside the value, so that it can travel, and lapses by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from dogpile.cache.api import DefaultSerialization

from holdover.regions.backends.base import Backend, positive, translated
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.file_clock import FileClocks
from holdover.regions.backends.file_culling import LEASE, Culler
from holdover.regions.backends.file_disk import (
    USAGE,
    StripeLocks,
    Usage,
    check_directory,
    directory_named,
)
from holdover.regions.backends.file_records import load_lease, overwrite, stripe
from holdover.regions.backends.file_values import (
    Draft,
    Torn,
    ValueFile,
    drafted,
    fence_at,
    read_locked,
    read_value,
    size_of,
)
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.host_files import unlink
from holdover.regions.backends.host_health import diagnose_folder
from holdover.regions.backends.host_records import LeaseRecord, digest
from holdover.regions.backends.sending import accepted_bytes
from holdover.regions.errors import (
    BackendError,
    InsecureDirectory,
)
from holdover.regions.findings import Finding
from holdover.regions.lifetime import seconds
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import SYSTEM_TIME, TimeSource

DEFAULT_MAX_BYTES = 1 << 30
_NO_BOUND = 1 << 62
_LASTING = "lasting"


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
        shared_by="host",
        durable=True,
        keeps_objects=False,
        bounded_by=("max_bytes",),
        may_lose=("eviction",),
        largest_value=DEFAULT_MAX_BYTES,
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
        self.max_bytes: int = positive(arguments, "max_bytes", DEFAULT_MAX_BYTES)
        self._time = arguments.get("time_source", SYSTEM_TIME)
        self._is_checked = check_directory(self._root)
        timeout = seconds(arguments.get("lock_timeout", 1.0), "lock_timeout")
        self._locks = StripeLocks(f"{self._root}/locks", timeout)
        self._usage = Usage(f"{self._root}/{USAGE}")
        self._culler = Culler(
            self._root, self._locks, self._usage, self.max_bytes, self._time
        )
        self._clocks = FileClocks(self._root, self._locks, self._time)

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        path = self._path(key)
        return self._reader(path, partial(read_value, path), region)()

    def reader(self, key: str, region: str) -> Callable[[], tuple[Stored | None, int]]:
        """See `Backend.reader`."""
        path = self._path(key)
        return self._reader(path, ValueFile(path).read, region)

    def _reader(
        self, path: str, read_value: Callable[[], bytes | None], region: str
    ) -> Callable[[], tuple[Stored | None, int]]:
        tick = self._clocks.reader(region)

        def read() -> tuple[Stored | None, int]:
            if not self._is_checked:
                self._check()
            try:
                stored = read_value()
            except Torn:
                stored = self._read_alone(path)
            except OSError as error:
                raise BackendError(f"reading a cache file: {error}") from error
            return stored, tick()

        return read

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        path = self._path(key)
        if len(stored) > self.max_bytes:  # type: ignore[arg-type] # bytes
            self.remove(key)
        with self._drafted(path, stored, ttl) as draft, self._locked(path):
            total = self._put(draft)
        self._culler.keep_bound(path, total)

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
        with self._drafted(path, stored, ttl) as draft, self._locked(path):
            if fence_at(path) != seen:
                return False
            total = self._put(draft)
        self._culler.keep_bound(path, total)
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
        overtaking: Collection[LeaseKind] = (),
    ) -> Grant:
        """See `Backend.acquire`."""
        path = self._path(key)
        tick = self._clocks.tick(region)
        with translated("acquiring a lease", OSError), self._locked(path):
            fence = fence_at(path)
            if fence not in (None, seen) and (stored := read_locked(path)) is not None:
                return Changed(stored, tick)
            now = self._time.steady()
            held = load_lease(path + LEASE)
            busy = None if held is None else held.busy(now)
            if busy is not None and busy.kind not in overtaking:
                return busy
            record = LeaseRecord.granted(now + ttl, queued=queued)
            overwrite(path + LEASE, record.packed())
        return record.lease(key, tick, ttl)

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        path = self._path(lease.key)
        with translated("renewing a lease", OSError), self._locked(path):
            held = _held_by(lease.token, path)
            if held is None:
                return False
            lapses_at = self._time.steady() + ttl
            renewed = replace(held, lapses_at=lapses_at)
            overwrite(path + LEASE, renewed.packed())
            return True

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        path = self._path(key)
        tick = self._clocks.tick(region)
        with translated("adopting a lease", OSError), self._locked(path):
            held = _held_by(token, path)
            if held is None:
                return None
            record = held.adopted(self._time.steady() + ttl)
            overwrite(path + LEASE, record.packed())
        return record.lease(key, tick, ttl)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        path = self._path(lease.key)
        with self._drafted(path, stored, ttl) as draft, self._locked(path):
            held = load_lease(path + LEASE)
            if held is None or held.fence != lease.fence:
                return None
            total = self._put(draft)
        self._culler.keep_bound(path, total)
        return self._clocks.tick(region)

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        path = self._path(lease.key)
        with translated("releasing a lease", OSError), self._locked(path):
            return _held_by(lease.token, path) is not None and unlink(path + LEASE)

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        path = self._path(lease.key)
        with translated("ending a lease", OSError), self._locked(path):
            if _held_by(lease.token, path) is None:
                return False
            pause = LeaseRecord.pausing(self._time.steady() + ttl, reason)
            overwrite(path + LEASE, pause.packed())
            return True

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        with translated("reading a lease", OSError):
            held = load_lease(self._path(key) + LEASE)
        return None if held is None else held.busy(self._time.steady())

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        self._check()
        return self._clocks.state(region)

    def tick(self, region: str, *, since: int = 0) -> int:
        """See `Backend.tick`. A ``stat``, and no lock (2 us in place of 25)."""
        self._check()
        return self._clocks.tick(region)

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        self._check()
        return self._clocks.advance(region, hard=hard, reaches=reaches)

    # -- housekeeping ----------------------------------------------------------

    def lasting(self) -> Backend:
        """See `Backend.lasting`. A directory of its own, within this one."""
        kept = {"path": f"{self._root}/{_LASTING}", "max_bytes": _NO_BOUND}
        return FileBackend({**kept, "time_source": self._time})

    def purge(self) -> int:
        """See `Backend.purge`. Files that a killed process left unfinished go too."""
        return self._culler.purge()

    def place(self) -> str:
        """See `Backend.place`."""
        return self._root

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`."""
        return diagnose_folder(self._root)

    # -- steps -----------------------------------------------------------------

    def _path(self, key: str) -> str:
        name = digest(key)
        return f"{self._root}/{name[:2]}/{name}"

    def _check(self) -> None:
        """Look at the directory once it is there: who made it in the meantime?"""
        if self._is_checked:
            return
        try:
            self._is_checked = check_directory(self._root)
        except InsecureDirectory as error:
            raise BackendError(str(error)) from error

    @contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        self._check()
        with self._locks.hold(stripe(path)):
            yield

    @contextmanager
    def _drafted(self, path: str, stored: Stored, ttl: float | None) -> Iterator[Draft]:
        self._check()
        data = accepted_bytes(self, stored, self.max_bytes)
        expires_at = math.inf if ttl is None else self._time.wall() + ttl
        with (
            translated("writing a cache file", OSError),
            drafted(path, data, expires_at) as draft,
        ):
            yield draft

    def _put(self, draft: Draft) -> int:
        """Put a value where it belongs, and end any lease; give the bytes in all."""
        total = self._usage.add(stripe(draft.path), draft.put())
        unlink(draft.path + LEASE)
        return total

    def _read_alone(self, path: str) -> bytes | None:
        """Read what may have been about to change, while nobody changes it."""
        with translated("reading a cache file", OSError), self._locked(path):
            return read_locked(path)

    def _discard(self, path: str) -> bool:
        # The value first: what readers see is what an invalidation is about.
        before = size_of(path)
        existed = unlink(path)
        unlink(path + LEASE)
        if existed:
            self._usage.add(stripe(path), -before)
        return existed


def _held_by(token: str, path: str) -> LeaseRecord | None:
    held = load_lease(path + LEASE)
    return held if held is not None and held.token == token else None
