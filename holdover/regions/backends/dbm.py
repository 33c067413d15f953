"""`holdover.dbm`: a database file of the standard library, shared by a host.

For who used dogpile.cache's dbm backend, or Beaker's. Values, leases and the regions'
clocks are records of one database. Each operation locks it, opens it, and closes it
again; `dbm_store` says why, and what becomes of it when a process is killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from dogpile.cache.api import DefaultSerialization

from holdover.regions.backends import dbm_steps as steps
from holdover.regions.backends.base import Backend, positive, translated
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.dbm_records import ValueRecord
from holdover.regions.backends.dbm_store import DbmStore, Step
from holdover.regions.backends.grants import (
    Busy,
    Grant,
    Lease,
    LeaseKind,
    Stored,
)
from holdover.regions.backends.host_health import diagnose_folder
from holdover.regions.backends.host_records import LeaseRecord
from holdover.regions.backends.sending import accepted_bytes
from holdover.regions.errors import ConfigurationError, ValueTooLarge
from holdover.regions.findings import Finding
from holdover.regions.lifetime import seconds
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import SYSTEM_TIME, TimeSource

DEFAULT_MAX_BYTES = 64 << 20
DEFAULT_MAX_FILE_BYTES = 1 << 30
_LOCK_SUFFIX = ".rw.lock"  # as in dogpile.cache
_AT_ONCE = 20  # records that a purge looks at before it lets others in
_BREATH = 0.001  # seconds: longer than those sleep who wait for the lock


class DbmBackend(DefaultSerialization, Backend):
    """Entries in a dbm database, whichever of dbm's modules this Python has.

    Arguments:
        filename: The database (required). The module may add suffixes. All processes
            that share the cache give the same, on a local file system, and use the
            same Python.
        max_bytes: The largest value that is stored (default 64 MiB).
        max_file_bytes: Bytes from which on the database is begun anew (default 1 GiB),
            since dbm gives no space back.
        lock_timeout: Seconds that an operation waits for others (default 1).
        rw_lockfile: The lock file (default: the filename with ".rw.lock"). False,
            which is dogpile.cache's word for none, means the default.
        dogpile_lockfile, lock_factory: Accepted and without effect: leases stand in
            the database, and the lock is always the kernel's.
        time_source: The clocks to go by; for tests.
    """

    capabilities = Capabilities(
        shared_by="host",
        durable=True,
        keeps_objects=False,
        bounded_by=("max_file_bytes",),
        may_lose=("eviction",),
        largest_value=DEFAULT_MAX_BYTES,
    )
    known_arguments = MappingProxyType(
        {
            "filename": str,
            "max_bytes": int,
            "max_file_bytes": int,
            "lock_timeout": float,
            "rw_lockfile": object,
            "dogpile_lockfile": object,
            "lock_factory": object,
            "time_source": TimeSource,
        }
    )

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        path = _named(arguments, "filename")
        self._place = os.path.realpath(path)
        lock_path = path + _LOCK_SUFFIX
        if arguments.get("rw_lockfile") not in (None, False):
            lock_path = _named(arguments, "rw_lockfile")
        self.max_bytes: int = positive(arguments, "max_bytes", DEFAULT_MAX_BYTES)
        self._time = arguments.get("time_source", SYSTEM_TIME)
        self._store = DbmStore(
            path,
            lock_path,
            lock_timeout=seconds(arguments.get("lock_timeout", 1.0), "lock_timeout"),
            most=positive(arguments, "max_file_bytes", DEFAULT_MAX_FILE_BYTES),
        )

    def place(self) -> str:
        """See `Backend.place`."""
        return self._place

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`."""
        return diagnose_folder(os.path.dirname(self._place))

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        [stored], tick = self.read_multi([key], region)
        return stored, tick

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        with self._reading("reading") as step:
            tick = steps.tick_of(step, region)
            found: list[Stored | None] = [steps.value_of(step, key) for key in keys]
        return found, self.clock(region).tick if tick is None else tick

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        self.write_multi({key: stored}, ttl=ttl)

    def write_multi(self, stored: Mapping[str, Stored], *, ttl: float | None) -> None:
        """See `Backend.write_multi`."""
        refused: ValueTooLarge | None = None
        with self._changing("writing") as step:
            for key, one in stored.items():
                try:
                    steps.put_value(step, key, self._record(one, ttl))
                except ValueTooLarge as error:
                    steps.drop_value(step, key)
                    refused = error
        if refused is not None:
            raise refused

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        return self.remove_multi([key])

    def remove_multi(self, keys: Sequence[str]) -> bool:
        """See `Backend.remove_multi`."""
        with self._changing("removing") as step:
            existed = [steps.drop_value(step, key) for key in keys]
            return any(existed)

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        record = self._record(stored, ttl)
        with self._changing("writing") as step:
            if steps.fence_at(step, key) != seen:
                return False
            steps.put_value(step, key, record)
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
        [grant] = self.acquire_multi(
            {key: seen}, region, ttl=ttl, queued=queued, overtaking=overtaking
        )
        return grant

    def acquire_multi(
        self,
        seen: Mapping[str, int | None],
        region: str,
        *,
        ttl: float,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> list[Grant]:
        """See `Backend.acquire_multi`."""
        with self._changing("acquiring a lease") as step:
            now = self._now()
            return [
                steps.acquired(
                    step,
                    key,
                    fence,
                    region,
                    now,
                    ttl=ttl,
                    queued=queued,
                    overtaking=overtaking,
                )
                for key, fence in seen.items()
            ]

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        with self._changing("renewing a lease") as step:
            return steps.renewed(step, lease, self._time.steady() + ttl)

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        with self._changing("adopting a lease") as step:
            held = steps.held_by(step, key, token)
            if held is None:
                return None
            record = held.adopted(self._time.steady() + ttl)
            steps.put_lease(step, key, record)
            tick = steps.clock_of(step, region, self._now()).tick
            return record.lease(key, tick, ttl)

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        [tick] = self.commit_multi([(lease, stored, ttl)], region)
        return tick

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Stored, float | None]], region: str
    ) -> list[int | None]:
        """See `Backend.commit_multi`."""
        records = [self._record(stored, ttl) for _, stored, ttl in commits]
        with self._changing("committing") as step:
            tick = steps.clock_of(step, region, self._now()).tick
            return [
                tick if steps.committed(step, lease, record) else None
                for (lease, _, _), record in zip(commits, records, strict=True)
            ]

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        with self._changing("releasing a lease") as step:
            return steps.drop_lease(step, lease)

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        with self._changing("ending a lease") as step:
            if steps.held_by(step, lease.key, lease.token) is None:
                return False
            pause = LeaseRecord.pausing(self._time.steady() + ttl, reason)
            steps.put_lease(step, lease.key, pause)
            return True

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        with self._reading("reading a lease") as step:
            return steps.busy_at(step, key, self._now())

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        with self._changing("the region clock") as step:
            return steps.clock_of(step, region, self._now())

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        with self._changing("the region clock") as step:
            return steps.advanced(step, region, self._now(), hard=hard, reaches=reaches)

    # -- housekeeping ----------------------------------------------------------

    def purge(self) -> int:
        """See `Backend.purge`. Others get in between, a few records at a time."""
        with self._reading("purging") as step:
            names = step.names()
        count = 0
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            with self._changing("purging") as step:
                count += steps.drop_expired(step, some, self._now())
            time.sleep(_BREATH)
        return count

    # -- steps -----------------------------------------------------------------

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Step]:
        with translated(doing, OSError), self._store.step(changes=False) as step:
            yield step

    @contextmanager
    def _changing(self, doing: str) -> Iterator[Step]:
        with translated(doing, OSError), self._store.step(changes=True) as step:
            yield step

    def _now(self) -> steps.Moment:
        return steps.Moment(self._time.wall(), self._time.steady())

    def _record(self, stored: Stored, ttl: float | None) -> ValueRecord:
        data = accepted_bytes(self, stored, self.max_bytes)
        expires_at = float("inf") if ttl is None else self._time.wall() + ttl
        return ValueRecord(data, expires_at)


def _named(arguments: Mapping[str, Any], name: str) -> str:
    """Take a file's path from a backend's arguments.

    Raises:
        ConfigurationError: There is none, or it is no path.
    """
    given = arguments.get(name)
    if not given:
        raise ConfigurationError(
            f"holdover.dbm needs the argument {name!r}, a database file of its own"
        )
    try:
        folder, last = os.path.split(os.fsdecode(given))
        return os.path.join(os.path.realpath(folder), last)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} must be a file, got {given!r}") from error
