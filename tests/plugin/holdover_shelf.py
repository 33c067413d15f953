"""A backend by somebody else: entries in a SQLite database, one table of three."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from contextlib import closing, contextmanager
from types import MappingProxyType

from holdover.errors import BackendError, ConfigurationError
from holdover.regions.backends.base import Backend
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import Busy, Changed, Lease, LeaseKind
from holdover.regions.envelope import fence_of, new_fence
from holdover.regions.ticks import ClockState, Mark, Reach, Scope

TABLE = (
    "CREATE TABLE IF NOT EXISTS shelf (name TEXT PRIMARY KEY, data BLOB, until REAL)"
)
PUT = "INSERT OR REPLACE INTO shelf VALUES (?, ?, ?)"
PURGE = "DELETE FROM shelf WHERE substr(name, 1, 2) = 'v:' AND until <= ?"
LEASE = ("token", "fence", "lapses_at", "kind", "reason")


class ShelfBackend(Backend):
    """Entries on a shelf.

    Arguments:
        path: The file (required).
        time_source: The clock to go by; for tests.
    """

    capabilities = Capabilities(
        shared_by="host", durable=True, keeps_objects=False, bounded_by=("nothing",)
    )
    known_arguments = MappingProxyType({"path": str, "time_source": object})

    def __init__(self, arguments):
        super().__init__(arguments)
        if "path" not in arguments:
            raise ConfigurationError("shelf needs the argument 'path', a file")
        self._path = arguments["path"]
        clock = arguments.get("time_source")
        self._now = time.time if clock is None else clock.wall

    # -- reading and writing ---------------------------------------------------

    def read(self, key, region):
        with self._step() as shelf:
            return _get(shelf, "v:", key), self._clock(shelf, region).tick

    def write(self, key, stored, *, ttl):
        with self._step() as shelf:
            self._store(shelf, key, stored, ttl)

    def remove(self, key):
        with self._step() as shelf:
            _drop(shelf, "l:", key)
            return _drop(shelf, "v:", key)

    def compare_and_set(self, key, stored, *, seen, ttl):
        with self._step() as shelf:
            if _fence(shelf, key) != seen:
                return False
            self._store(shelf, key, stored, ttl)
            return True

    # -- leases ----------------------------------------------------------------

    def acquire(self, key, region, *, ttl, seen, queued=False, overtaking=()):
        with self._step() as shelf:
            tick = self._clock(shelf, region).tick
            if _fence(shelf, key) not in (None, seen):
                return Changed(_get(shelf, "v:", key), tick)
            busy = self._busy(shelf, key)
            if busy is not None and busy.kind not in overtaking:
                return busy
            kind = LeaseKind.QUEUED if queued else LeaseKind.HELD
            return self._lease(
                shelf, key, tick=tick, ttl=ttl, fence=new_fence(), kind=kind
            )

    def renew(self, lease, *, ttl):
        with self._step() as shelf:
            held = _held(shelf, lease.key, lease.token)
            if held is not None:
                _hold(shelf, lease.key, held | {"lapses_at": self._now() + ttl})
            return held is not None

    def adopt(self, key, region, token, *, ttl):
        with self._step() as shelf:
            held = _held(shelf, key, token)
            tick = self._clock(shelf, region).tick
            if held is None:
                return None
            fence, kind = held["fence"], LeaseKind.HELD
            return self._lease(shelf, key, tick=tick, ttl=ttl, fence=fence, kind=kind)

    def commit(self, lease, stored, region, *, ttl):
        with self._step() as shelf:
            held = _record(shelf, lease.key)
            if held is None or held["fence"] != lease.fence:
                return None
            self._store(shelf, lease.key, stored, ttl)
            return self._clock(shelf, region).tick

    def release(self, lease):
        with self._step() as shelf:
            held = _held(shelf, lease.key, lease.token)
            return held is not None and _drop(shelf, "l:", lease.key)

    def back_off(self, lease, *, ttl, reason):
        with self._step() as shelf:
            if _held(shelf, lease.key, lease.token) is None:
                return False
            self._lease(
                shelf,
                lease.key,
                tick=0,
                ttl=ttl,
                fence=0,
                kind=LeaseKind.BACKING_OFF,
                reason=reason,
            )
            return True

    def leased(self, key):
        with self._step() as shelf:
            return self._busy(shelf, key)

    # -- the region clock ------------------------------------------------------

    def clock(self, region, *, since=0):
        with self._step() as shelf:
            return self._clock(shelf, region)

    def advance(self, region, *, hard, reaches=()):
        with self._step() as shelf:
            state = self._clock(shelf, region)
            after = state.advanced(self._now(), hard=hard, reaches=reaches)
            return _put_clock(shelf, region, after)

    def purge(self):
        with self._step() as shelf:
            return shelf.execute(PURGE, (self._now(),)).rowcount

    # -- steps -----------------------------------------------------------------

    @contextmanager
    def _step(self):
        """Let nobody come between: a transaction that begins with the write lock."""
        try:
            with closing(sqlite3.connect(self._path, timeout=1.0)) as shelf:
                shelf.isolation_level = None
                shelf.execute("BEGIN IMMEDIATE")
                shelf.execute(TABLE)
                yield shelf
                shelf.execute("COMMIT")
        except sqlite3.Error as error:
            raise BackendError(f"the shelf: {error}") from error

    def _store(self, shelf, key, stored, ttl):
        until = float("inf") if ttl is None else self._now() + ttl
        shelf.execute(PUT, (_name("v:", key), stored, until))
        _drop(shelf, "l:", key)

    def _busy(self, shelf, key):
        held = _record(shelf, key)
        left = 0.0 if held is None else held["lapses_at"] - self._now()
        return Busy(left, LeaseKind(held["kind"]), held["reason"]) if left > 0 else None

    def _lease(self, shelf, key, *, tick, ttl, fence, kind, reason=""):
        token = secrets.token_hex(16)
        lapses_at = self._now() + ttl
        values = (token, fence, lapses_at, kind.value, reason)
        _hold(shelf, key, dict(zip(LEASE, values, strict=True)))
        return Lease(key=key, token=token, fence=fence, clock=tick, ttl=ttl)

    def _clock(self, shelf, region):
        data = _get(shelf, "c:", region)
        if data is None:
            return _put_clock(shelf, region, ClockState.seeded(self._now()))
        *floors, marks = json.loads(data)
        found = {
            Mark(Reach(Scope(scope), name), hard): tick
            for scope, name, hard, tick in marks
        }
        fields = ("tick", "hard_floor", "soft_floor")
        return ClockState(**dict(zip(fields, floors, strict=True)), marks=found)


def _name(kind, key):
    return kind + key.encode("utf-8", "surrogatepass").hex()


def _get(shelf, kind, key):
    row = shelf.execute("SELECT data FROM shelf WHERE name = ?", (_name(kind, key),))
    return next((data for (data,) in row), None)


def _drop(shelf, kind, key):
    row = shelf.execute("DELETE FROM shelf WHERE name = ?", (_name(kind, key),))
    return row.rowcount > 0


def _fence(shelf, key):
    stored = _get(shelf, "v:", key)
    return None if stored is None else fence_of(stored)


def _record(shelf, key):
    data = _get(shelf, "l:", key)
    return None if data is None else json.loads(data)


def _held(shelf, key, token):
    held = _record(shelf, key)
    return held if held is not None and held["token"] == token else None


def _hold(shelf, key, record):
    shelf.execute(PUT, (_name("l:", key), json.dumps(record), float("inf")))


def _put_clock(shelf, region, state):
    marks = [
        [mark.reach.scope.value, mark.reach.name, mark.hard, tick]
        for mark, tick in state.marks.items()
    ]
    data = json.dumps([state.tick, state.hard_floor, state.soft_floor, marks])
    shelf.execute(PUT, (_name("c:", region), data, float("inf")))
    return state
