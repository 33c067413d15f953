"""`holdover.redis`: entries in a Redis or Valkey server, shared by a fleet.

A hit is one ``MGET`` of the value and the region's clock. Whatever must be atomic is
one script, which the server runs in one step, or WATCH/MULTI/EXEC where scripts are not
allowed. The server's clock judges leases and ttls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from dogpile.cache.backends.redis import RedisBackend as DogpileRedisBackend

from holdover.regions.backends import redis_health
from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.grants import Stored
from holdover.regions.backends.redis_clock import RedisClocks
from holdover.regions.backends.redis_commands import packed
from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_options import (
    ARGUMENT_TYPES,
    Keeper,
    connected,
    keeper_for,
    with_bounds,
)
from holdover.regions.backends.redis_records import NO_CLOCK, OURS, VALUES, tick_of
from holdover.regions.backends.redis_replies import a_list
from holdover.regions.backends.redis_tracking import PushedByRedis
from holdover.regions.backends.redis_values import ValuesInRedis, value_in
from holdover.regions.backends.sending import batches
from holdover.regions.encoding import to_bytes
from holdover.regions.findings import Finding
from holdover.regions.ticks import ClockState, Reach

_MOST_KEYS = 500  # in one MGET, which holds up the server's other clients


class RedisBackend(ValuesInRedis, PushedByRedis, DogpileRedisBackend):
    """Entries in a Redis or Valkey server.

    Arguments are those of ``dogpile.cache.redis``, with other defaults:

        url: Where the server is, such as ``redis://localhost:6379/0`` (``rediss://``
            for TLS, ``unix://`` for a socket). What its query says wins.
        host, port, db, username, password, ssl: The same, one by one.
        socket_timeout: Seconds for the server's answer (default 0.25).
        socket_connect_timeout: Seconds for a connection (default 0.25).
        socket_keepalive, socket_keepalive_options: Of the TCP connection.
        connection_kwargs: Whatever else redis-py's connections take.
        connection_pool: A pool of redis-py's to borrow connections from, so that its
            limits hold; without one every thread keeps a connection of its own.
        redis_expiration_time: Seconds for which values are kept that have no ttl of
            their own (default 0: without end).
        max_bytes: The largest value that is sent (default 64 MiB).
        distributed_lock, lock_timeout, lock_sleep, lock_blocking, lock_prefix,
            lock_blocking_timeout, thread_local_lock: Accepted, since they mean
            something to ``get_mutex``; a region uses leases instead.
    """

    capabilities = replace(ValuesInRedis.capabilities, pushes=True)
    known_arguments = ARGUMENT_TYPES
    _dogpiles: type[DogpileRedisBackend] = DogpileRedisBackend
    _way: type[Link] = Link
    _link: Link

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        ValuesInRedis.__init__(self, arguments)
        bounded = with_bounds(arguments)
        with connected():
            self._dogpiles.__init__(self, bounded)  # type: ignore[no-untyped-call]
            self._link = self._linked(keeper_for(bounded))
        self._atomic = steps.Steps(self._link)
        self._clocks = RedisClocks(self._link, self._atomic)
        self._clock_words: dict[str, bytes] = {}
        self._known_clocks: dict[str, tuple[object, int]] = {}

    def _linked(self, keeper: Keeper) -> Link:
        """Make the way to the server, and see whether connections can be made."""
        pool = self.writer_client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # refuses unknown arguments
        return self._way(pool, keeper, wait=self.socket_timeout)

    # -- names in the store ----------------------------------------------------

    def _value_name(self, key: str) -> bytes:
        """Name a value: by its key, where dogpile.cache has it, too."""
        name = to_bytes(key)
        return VALUES + name if name.startswith(OURS) else name

    def _lease_name(self, key: str) -> bytes:
        return OURS + b"lease:" + to_bytes(key)

    def _clock_names(self, region: str) -> tuple[bytes, bytes]:
        """Name a region's clock, and the marks beside it."""
        name = to_bytes(region)
        return OURS + b"clock:" + name, OURS + b"marks:" + name

    def _names(self, key: str, region: str) -> tuple[bytes, bytes, bytes, bytes]:
        """Name all that a step about *key* may touch."""
        return (
            self._value_name(key),
            self._lease_name(key),
            *self._clock_names(region),
        )

    # -- reading ----------------------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        return self._read(self._reading_command(key, region), region)

    def reader(self, key: str, region: str) -> Callable[[], tuple[Stored | None, int]]:
        """See `Backend.reader`. With a command that is packed already."""
        return partial(self._read, self._reading_command(key, region), region)

    def _reading_command(self, key: str, region: str) -> bytes:
        name = self._value_name(key)
        clock = self._clock_words.get(region) or self._remember_clock(region)
        return b"*3\r\n$4\r\nMGET\r\n$%d\r\n%b\r\n%b" % (len(name), name, clock)

    def _read(self, command: bytes, region: str) -> tuple[Stored | None, int]:
        stored, found = a_list(self._link.fetch(command), 2)
        return value_in(stored), self._tick(region, found)

    def _remember_clock(self, region: str) -> bytes:
        """Have the last word of every reading command about *region* packed already."""
        name, _ = self._clock_names(region)
        words = self._clock_words[region] = b"$%d\r\n%b\r\n" % (len(name), name)
        return words

    def _tick(self, region: str, clock: Any) -> int:
        """Read the tick of a region's clock, making the clock if it is not there."""
        known, tick = self._known_clocks.get(region, NO_CLOCK)
        if clock == known:  # as it is until the next invalidation
            return tick
        found = tick_of(clock)
        if found is None:
            return self.clock(region).tick
        self._known_clocks[region] = clock, found
        return found

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        clock, _ = self._clock_names(region)
        found: list[Stored | None] = []
        tick = None
        for batch in batches(list(map(self._value_name, keys)), most=_MOST_KEYS):
            command = b"".join(packed([("MGET", clock, *batch)]))
            first, *stored = a_list(self._link.fetch(command), 1 + len(batch))
            if tick is None:  # with the first batch, so it is no later than any value
                tick = self._tick(region, first)
            found += map(value_in, stored)
        return found, self.clock(region).tick if tick is None else tick

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return self._clocks.state(*self._clock_names(region), since=since)

    def tick(self, region: str, *, since: int = 0) -> int:
        """See `Backend.tick`. By MGET, to which what is no text is nothing."""
        clock = self._clock_words.get(region) or self._remember_clock(region)
        reply = self._link.fetch(b"*2\r\n$4\r\nMGET\r\n" + clock)
        return self._tick(region, a_list(reply, 1)[0])

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        names = self._clock_names(region)
        state = self._clocks.advance(*names, hard=hard, reaches=reaches)
        return ClockState.seeded(time.time()) if state is None else state

    # -- for operators ----------------------------------------------------------

    def place(self) -> str:
        """See `Backend.place`."""
        told = self.writer_client.connection_pool.connection_kwargs
        where = told.get("path") or f"{told.get('host')}:{told.get('port')}"
        return f"{where} db {told.get('db') or 0}"

    def server_time(self) -> float | None:
        """See `Backend.server_time`."""
        return redis_health.time_of(self._link)

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`."""
        return redis_health.diagnose(self._link, lasting=lasting)
